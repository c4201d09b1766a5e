"""Deliveries run again: those that no sender brought, many at once, large ones, and what becomes of the chain behind them."""
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import time
import urllib.parse

from lib import Repository, Server, binary, environment, wait

ASAN_TOO = True


def deliveries(s, source):
    return s.get(f"/api/v1/deliveries?source={source}&limit=200")["deliveries"]


def jobs_of(s, rule):
    return s.get(f"/api/v1/jobs?rule={urllib.parse.quote(rule)}&limit=200")["jobs"]


def ended(s, rule, n=1):
    """The jobs of RULE, the oldest first, once N have ended."""
    return wait(f"{n} jobs of {rule}", lambda: (lambda j: j if len(j) >= n else None)(
        sorted((j for j in jobs_of(s, rule) if j["ended_ms"]), key=lambda j: j["id"])))


def replay(s, id, *args, code=0):
    """The answer of `pushrod replay ID`, and the lines of the jobs that it started, by their rules."""
    got, out, err = s.cli("replay", str(id), "--json", *args)
    assert got == code, (got, out, err)
    answer = json.loads(out)
    started = [m for m in answer["matched"] if "job" in m]
    for m in started:
        s.finished(m["job"])
    return answer, {m["rule"]: s.lines(m["job"]) for m in started}


INNER = '''
rule "build" { on = "push", when = "always", run = function(job)
  job:output("version", "7")
  job:emit("built", { version = "7" })
end }
rule "each" { on = "job:succeeded", when = { rule = "build" }, run = function(job) job:log("each " .. job.cause.outputs.version) end }
rule "after" { on = "rule:succeeded", when = { rule = "build", branch = "main" }, env = { B = "{branch}" }, run = function(job)
  job:log("after %s %s %d", job.cause.rule, job.event.branch, job.cause.depth)
end }
rule "deploy" { on = "local:built", when = { payload = { version = "7" } }, run = function(job)
  job:log("deploy %s of %s", job.payload.version, job.cause.rule)
end }
rule "by hand" { on = "push", when = { branch = "never" }, run = function(job) job:log("to " .. job.payload.to) end }
rule "nightly" { cron = { "0 3 * * *", missed = "once" }, run = function(job) job:log("planned " .. job.event.planned) end }
rule "noon" { cron = { "0 12 * * *", missed = "skip" }, run = function(job) job:log("noon") end }
'''


def cause_all(s):
    """A job of each rule of INNER but noon. Returns that of the schedule, which was due while it was down."""
    wait("the schedules are armed", lambda: schedules(s) == 2)
    s.stop()
    db = sqlite3.connect(os.path.join(s.state, "pushrod.db"))
    db.execute("UPDATE schedule SET since_ms = since_ms - 2 * 86400000")
    db.commit()
    db.close()
    s.start()
    fired = ended(s, "nightly")[0]
    s.push(Repository())
    for rule in ("each", "after", "deploy"):
        ended(s, rule)
    assert s.cli("trigger", "by hand", "--data", '{"to": "production"}')[0] == 0
    ended(s, "by hand")
    return fired


def test_what_no_sender_brought_is_run_again():
    s = Server({"rules/i.lua": INNER})
    fired = cause_all(s)
    instants = instants_of(s)
    # job: rule: local: by a rule, and by a person
    for rule, source, lines in (("each", "job", ["each 7"]), ("after", "rule", ["after build main 1"]), ("deploy", "local", ["deploy 7 of build"]),
                                ("by hand", "local", ["to production"])):
        first = jobs_of(s, rule)[0]
        answer, said = replay(s, first["delivery"])
        assert said == {rule: lines}, (rule, said)
        assert s.lines(first["id"]) == lines
        d = s.get(f"/api/v1/deliveries/{answer['delivery']}")
        was = s.get(f"/api/v1/deliveries/{first['delivery']}")
        assert d["source"] == source and d["replay_of"] == first["delivery"] and d["key"].startswith("replay-"), d
        assert (d["event"], d["action"], d["cause"]) == (was["event"], was["action"], was["cause"]), (d, was)
        assert d["normalised"].get("only") == was["normalised"].get("only"), (d, was)
    # A schedule: its rule alone, the moment that was meant, and no moment taken (I10).
    answer, said = replay(s, fired["delivery"])
    assert said == {"nightly": s.lines(fired["id"])} and said["nightly"][0].startswith("planned ") and said["nightly"][0].endswith("T03:00:00Z"), said
    assert instants_of(s) == instants and len(jobs_of(s, "nightly")) == 2 and not jobs_of(s, "noon")
    assert s.cli("replay", str(fired["delivery"]), "--rule", "noon")[0] == 1
    # By the rules in force, as ever.
    s.write("rules/i.lua", INNER.replace('"nightly" {', '"nightly" { enabled = false,').replace('"by hand"', '"by foot"').replace('{ version = "7" } }', '{ version = "8" } }'))
    wait("they are in force", lambda: any(r["name"] == "by foot" for r in s.get("/api/v1/rules")["rules"]))
    code, _, err = s.cli("replay", str(fired["delivery"]))
    assert code == 1 and "'nightly' says enabled = false" in err, err
    code, _, err = s.cli("replay", str(jobs_of(s, "by hand")[0]["delivery"]))
    assert code == 1 and "meant for rule 'by hand' of rules/i.lua, which is not there" in err, err
    code, out, _ = s.cli("replay", str(jobs_of(s, "deploy")[0]["delivery"]))
    assert code == 3 and 'want "8", got "7"' in out, out


def schedules(s):
    return query(s, "SELECT count(*) FROM schedule")


def instants_of(s):
    return query(s, "SELECT count(*) || '/' || max(at_ms) FROM instant")


def query(s, sql):
    db = sqlite3.connect(f"file:{s.state}/pushrod.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()[0]
    finally:
        db.close()


def test_a_replay_begins_a_chain_and_keeps_its_depth():
    s = Server({"rules/l.lua": '''
rule "seed" { on = "push", when = "always", run = function(job) end }
rule "round" { on = "rule:finished", when = "always", run = function(job) job:log("depth " .. job.cause.depth) end }
'''})
    s.push(Repository())
    wait("the event past the bound", lambda: len(deliveries(s, "rule")) == 17)
    by_depth = {s.get(f"/api/v1/deliveries/{d['id']}")["cause"]["depth"]: d["id"] for d in deliveries(s, "rule")}
    # The last that ran causes one that is refused, as the first time; that one cannot be run at all.
    answer, said = replay(s, by_depth[16])
    assert said == {"round": ["depth 16"]}, said
    last = wait("what it causes", lambda: len(deliveries(s, "rule")) == 19 and deliveries(s, "rule")[0])
    assert last["jobs"] == 0 and "the most is 16" in s.get(f"/api/v1/deliveries/{last['id']}")["why"][0]["because"], last
    for dry in ([], ["--dry-run"]):
        code, _, err = s.cli("replay", str(by_depth[17]), *dry)
        assert code == 1 and "number 17 in a row that jobs caused, the most is 16" in err, err
    # What the original's chain has used up is not the replay's: its root is itself.
    assert query(s, f"SELECT root FROM delivery WHERE id={last['id']}") == answer["delivery"]
    assert query(s, f"SELECT root IS NULL FROM delivery WHERE id={answer['delivery']}") == 1


def test_a_large_body_is_run_again():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = { branch = "main" }, run = function(job) job:log("%d", #job.payload.pad) end }\n'})
    sent = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/mono"}, "commits": [], "pad": "x" * (1 << 20)}).encode()
    status, first = s.deliver(sent)
    assert status == 202, first
    answer, said = replay(s, first["delivery"])
    assert said == {"r": [str(1 << 20)]}, said
    assert s.request("GET", f"/api/v1/deliveries/{answer['delivery']}/body")[2] == sent
    assert replay(s, answer["delivery"], "--dry-run", "--rule", "r")[0]["matched"] == [{"rule": "r", "cell": ""}]


def test_a_job_knows_what_it_repeats():
    s = Server({"rules/r.lua": '''rule "r" { on = "push", when = "always", run = function(job)
  job:log("%s %d", job.replay and tostring(job.replay.delivery), (job.replay or job).delivery)
end }
rule "next" { on = "rule:succeeded", when = { rule = "r" }, run = function(job) job:log("%s %d", tostring(job.replay), job.cause.delivery) end }
'''})
    first = s.push(Repository())["matched"][0]["job"]
    ended(s, "next")
    assert s.lines(first) == ["nil 1"]
    answer, said = replay(s, 1)
    assert said == {"r": ["1 1"]}, said
    answer, said = replay(s, answer["delivery"])
    assert said == {"r": ["1 1"]}, "the first of all"
    # What it causes is no replay itself, and finds it by its cause.
    job = ended(s, "next", 3)[-1]
    assert s.lines(job["id"]) == [f"nil {answer['delivery']}"], s.lines(job["id"])


def test_what_no_sender_brought_becomes_a_test_with_the_same_verdict():
    s = Server({"rules/i.lua": INNER})
    cause_all(s)
    expect = {}
    for rule in ("nightly", "each", "after", "deploy", "by hand"):
        job = jobs_of(s, rule)[0]
        expect[f"delivery-{job['delivery']}"] = {"match": [rule], "effects": {rule: [{"log": line} for line in s.lines(job["id"])]}}
        code, out, err = s.cli("deliveries", "save", str(job["delivery"]), s.site)
        assert code == 0 and out == f"{s.site}/tests/delivery-{job['delivery']}.json\n" and "test --update" in err, (code, out, err)
    for name, wanted in expect.items():
        if "after" in wanted["match"]:
            wanted["effects"]["after"].insert(0, {"env": {"B": "main"}})
        s.write(f"tests/{name}.expect.json", json.dumps(wanted))
    code, out, err = s.cli("test", s.site)
    assert code == 0 and "5 passed" in out, (code, out, err)
    # explain says the same of the file; and the rule's name is what it is for.
    code, out, err = s.cli("explain", f"{s.site}/tests/delivery-{jobs_of(s, 'nightly')[0]['delivery']}.json", s.site)
    assert code == 0 and "nightly   match" in out and "meant for the rule" in out and "noon   " not in out, (code, out, err)
    s.write("rules/i.lua", INNER.replace('"nightly" {', '"nightly" { enabled = false,'))
    code, out, err = s.cli("test", s.site)
    assert code == 1 and "nightly does not fire: it says enabled = false" in out and "4 passed" in out, (code, out, err)


def test_a_delivery_is_saved_where_one_says_and_nothing_is_written_over():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", run = function(job) end }\n'})
    sent = Repository().push_body()
    assert s.deliver(sent)[0] == 202
    place = os.path.join(s.home, "place")
    os.mkdir(place)

    def save(*args, code=0, env=None):
        got, out, err = s.cli("deliveries", "save", "1", *args, env=env)
        assert got == code, (got, out, err)
        return out.strip(), err

    assert save(place)[0] == f"{place}/delivery-1.json", "a folder that is no site"
    assert save(f"{place}/new/")[0] == f"{place}/new/delivery-1.json"
    assert save(f"{place}/a/b/mine.json")[0] == f"{place}/a/b/mine.json"
    assert save(env={"PUSHROD_SITE": s.site})[0] == f"{s.site}/tests/delivery-1.json"
    for path in (f"{place}/delivery-1.json", f"{place}/a/b/mine.json", f"{s.site}/tests/delivery-1.json"):
        with open(path, "rb") as f:
            assert sent.strip() in f.read(), path
    assert save("-")[0].encode().count(sent.strip()) == 1
    with open(f"{place}/delivery-1.json", "w", encoding="utf-8") as f:
        f.write("mine")
    assert "is there already: --force writes over it" in save(place, code=1)[1]
    with open(f"{place}/delivery-1.json", encoding="utf-8") as f:
        assert f.read() == "mine"
    save(place, "--force")
    with open(f"{place}/delivery-1.json", encoding="utf-8") as f:
        assert json.load(f)["source"] == "github"
    assert s.cli("test", s.site, "--save", "1")[0] == 1 and s.cli("test", s.site, "--save", "1", "--force")[0] == 0
    for args, code in ((("save",), 2), (("save", "x"), 2), (("save", "9", place), 5), (("save", "1", place, "y"), 2), (("show", "1", "y"), 2)):
        assert s.cli("deliveries", *args)[0] == code, args


BRANCHES = 'rule "main" { on = "push", when = { branch = "main" }, run = function(job) end }\n' \
           'rule "by hand" { on = "push", when = { branch = { "main", "dev" } }, run = function(job) end }\n' \
           'rule "after" { on = "rule:finished", when = { rule = "main" }, run = function(job) end }\n'


def body(branch):
    return json.dumps({"ref": f"refs/heads/{branch}", "after": "1" * 40, "repository": {"full_name": "acme/site"}, "commits": []}).encode()


def replays(s):
    """{original: [replay, …]} of all that are kept."""
    out, page = {}, "/api/v1/deliveries?limit=200"
    while page:
        answer = s.get(page)
        for d in answer["deliveries"]:
            if "replay_of" in d:
                out.setdefault(d["replay_of"], []).append(d["id"])
        page = answer["next"]
    return out


def test_those_that_a_filter_finds_are_run_again_from_the_oldest_on():
    s = Server({"rules/r.lua": BRANCHES})
    sent = [s.deliver(body(b))[1]["delivery"] for b in ("main", "dev", "other", "dev", "main")]
    ended(s, "after", 2)
    wait("all have ended", lambda: not sum(s.get("/api/v1/status")["jobs"].values()))
    dev = [sent[1], sent[3]]
    # More than one is asked about, or refused where nobody can be asked.
    code, out, err = s.cli("replay", "--branch", "dev", stdin="")
    assert code == 2 and "2 deliveries: say --yes" in err and not out and not replays(s), (code, out, err)
    code, out, err = s.cli("replay", "--branch", "dev", "-n")
    assert code == 0 and "2 of 2 deliveries would be run again, 2 jobs" in err and not replays(s), (code, out, err)
    assert [line.split()[1] for line in out.splitlines() if line.startswith("delivery ")] == [str(d) for d in dev], out
    code, out, err = s.cli("replay", "--branch", "dev", "--yes", "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [a["replay_of"] for a in answers] == dev and answers[0]["delivery"] < answers[1]["delivery"], (out, err)
    assert "2 of 2 deliveries run again, 2 jobs" in err and [m["rule"] for a in answers for m in a["matched"]] == ["by hand"] * 2, (out, err)
    # Not again what is a replay already, nor what jobs caused, unless it is named: 3 of 5 by what they match.
    code, out, err = s.cli("replay", "--since", "1h", "--matched", "yes", "--rule", "main", "--yes")
    assert code == 1 and "left out: 2 replays" in err and "left out: 2 that jobs caused" in err, (code, out, err)
    assert "2 of 4 deliveries run again, 2 jobs; 2 could not be" in err and f"delivery {dev[0]}: rule 'main' does not match" in err, err
    caused = [d["id"] for d in reversed(deliveries(s, "rule")) if d["jobs"]]
    code, out, err = s.cli("replay", "--source", "rule", "--matched", "yes", "--after", str(caused[0]), "-n")
    assert code == 0 and f"delivery {caused[1]} would run 1 job" in out and f"delivery {caused[0]} " not in out, (out, err)
    # One alone needs no asking; none is told; the mistakes.
    code, out, err = s.cli("replay", "--matched", "no", "--source", "github")
    assert code == 3 and f"delivery {sent[2]} again as" in out and "run again" not in err, (code, out, err)
    assert s.cli("replay", "--branch", "nowhere", "--yes")[0] == 3
    assert s.cli("replay", str(sent[0]), str(sent[1]), "--rule", "by hand")[0] == 0, "those that are named are not asked about"
    for args in (("1", "--branch", "dev"), ("--branch", "dev", "--limit", "0"), ("--since", "yesterday"), ("--matched", "maybe"), (), ("--after", "x"),
                 ("--branch", "dev", "1", "-n")):
        assert s.cli("replay", *args)[0] == 2, args


def test_times_are_as_people_write_them():
    s = Server({"rules/r.lua": BRANCHES})
    s.deliver(body("other"))
    env = {"TZ": "Asia/Kolkata"}
    for text, found in (("2h", 1), ("2026-01-01", 1), ("2026-01-01T08:00", 1), ("2026-01-01 08:00:00", 1), ("2026-01-01T08:00:00Z", 1),
                        ("2026-01-01T08:00:00+05:30", 1), ("1767225600000", 1), ("2099-01-01", 0), ("2099-01-01T00:00Z", 0)):
        for option, expect in (("--since", found), ("--until", 1 - found)):
            expect = 0 if (option, text) == ("--until", "2h") else expect
            code, out, err = s.cli("deliveries", option, text, "--json", env=env)
            assert code == 0 and len(json.loads(out)["deliveries"]) == expect, (option, text, out, err)
    at = s.get("/api/v1/deliveries/1")["received_ms"] // 1000
    for moment, found in ((at, 1), (at + 1, 0)):
        for form, zone in (("%Y-%m-%dT%H:%M:%SZ", 0), ("%Y-%m-%dT%H:%M:%S", 19800), ("%Y-%m-%d %H:%M:%S", 19800)):
            text = time.strftime(form, time.gmtime(moment + zone))
            code, out, err = s.cli("deliveries", "--since", text, "--json", env=env)
            assert len(json.loads(out)["deliveries"]) == found, (text, out, err)
    for text in ("soon", "2026-13-01", "2026-01-01T08", "2026-01-01x", "-1"):
        code, _, err = s.cli("deliveries", "--since", text)
        assert code == 2 and "--since takes a time" in err, (text, err)


def test_more_than_the_bound_is_refused_with_the_count_and_all_pages_are_read():
    s = Server({"rules/r.lua": BRANCHES})
    for _ in range(205):
        assert s.deliver(body("other"))[0] == 202
    code, out, err = s.cli("replay", "--source", "github", "--limit", "204", "--dry-run")
    assert code == 1 and "205 deliveries fit, the most is 204" in err and "--limit 205" in err and not out, (code, out, err)
    code, out, err = s.cli("replay", "--source", "github", "--limit", "205", "--dry-run")
    assert code == 3 and [int(n) for n in re.findall("^delivery ([0-9]+) would run 0 jobs", out, re.M)] == list(range(1, 206)), (code, err)
    assert "205 of 205 deliveries would be run again, 0 jobs; 205 matched no rule" in err, err


def test_one_that_cannot_be_does_not_stop_the_others():
    s = Server({"rules/r.lua": BRANCHES})
    sent = [s.deliver(body("dev"))[1]["delivery"] for _ in range(4)]
    bad = sent.pop(1)
    s.stop()
    db = sqlite3.connect(os.path.join(s.state, "pushrod.db"))
    db.execute(f"DELETE FROM body WHERE delivery={bad}")
    db.commit()
    db.close()
    s.start()
    for args in (("--source", "github", "--yes"), (str(sent[0]), str(bad), str(sent[1]), str(sent[2]))):
        before = replays(s)
        code, out, err = s.cli("replay", *args)
        assert code == 1 and f"delivery {bad}: the body of this delivery is no longer kept (HTTP 410)" in err, (code, out, err)
        assert "3 of 4 deliveries run again, 3 jobs; 1 could not be" in err, err
        assert {d: len(r) - len(before.get(d, [])) for d, r in replays(s).items()} == {d: 1 for d in sent}


def test_a_person_is_asked_on_a_terminal():
    s = Server({"rules/r.lua": BRANCHES})
    sent = [s.deliver(body("dev"))[1]["delivery"] for _ in range(3)]

    def answer(text):
        ours, theirs = pty.openpty()
        p = subprocess.Popen([binary(), "replay", "--branch", "dev"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment({"PUSHROD_STATE": s.state}))
        os.close(theirs)
        os.write(ours, text)
        out, err = p.communicate(timeout=60)
        os.close(ours)
        assert "Run these 3 deliveries again, from the oldest to the newest? [y/N]" in err and "acme/site" in err, err
        return p.returncode, err

    for no in (b"n\n", b"\n", b"\x04"):
        code, err = answer(no)
        assert code == 1 and "nothing was run" in err and not replays(s), (code, err)
    code, err = answer(b"y\n")
    assert code == 0 and "3 of 3 deliveries run again" in err and sorted(replays(s)) == sent, (code, err)


def replaying(s, *args):
    """A run of `pushrod replay` under way, and the first line that it printed."""
    p = subprocess.Popen([binary(), "replay", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=environment({"PUSHROD_STATE": s.state}))
    return p, p.stdout.readline()


def test_an_interrupt_says_how_far_it_got_and_the_rest_goes_on_from_there():
    s = Server({"rules/r.lua": BRANCHES})
    for _ in range(120):
        assert s.deliver(body("other"))[0] == 202
    p, first = replaying(s, "--source", "github", "--yes")
    assert first.startswith("delivery 1 again as"), first
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    far = re.search(r"ended behind delivery ([0-9]+), ([0-9]+) of 120; to go on: --after ([0-9]+)\n", err)
    assert p.returncode == 130 and far and far[1] == far[2] == far[3] and int(far[1]) < 120, (p.returncode, err)
    assert sorted(replays(s)) == list(range(1, int(far[1]) + 1))
    code, _, err = s.cli("replay", "--source", "github", "--yes", "--after", far[3])
    assert code == 3 and f"{120 - int(far[1])} of {120 - int(far[1])} deliveries run again" in err, (code, err)
    done = replays(s)
    assert sorted(done) == list(range(1, 121)) and all(len(r) == 1 for r in done.values()), "each once"


def test_a_lost_connection_runs_nothing_twice():
    s = Server({"rules/r.lua": BRANCHES})
    for _ in range(150):
        assert s.deliver(body("other"))[0] == 202
    p, _ = replaying(s, "--source", "github", "--yes")
    for _ in range(3):
        front = s.roles()["front"]
        os.kill(front, signal.SIGKILL)
        assert p.poll() is None, "it is under way"
        wait("another front", lambda: s.roles().get("front", front) != front)
        for _ in range(5):
            p.stdout.readline()                 # it goes on
    out, err = p.communicate(timeout=100)
    assert p.returncode == 3 and "150 of 150 deliveries run again" in err, (p.returncode, out, err)
    done = replays(s)
    assert sorted(done) == list(range(1, 151)) and all(len(r) == 1 for r in done.values()), done
    s.stop()
    code, _, err = s.cli("replay", "1")
    assert code == 4, (code, err)
