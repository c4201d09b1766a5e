"""Deliveries run again: those that no sender brought, many at once, large ones, and what becomes of the chain behind them."""
import json
import os
import sqlite3
import urllib.parse

from lib import Repository, Server, wait

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
