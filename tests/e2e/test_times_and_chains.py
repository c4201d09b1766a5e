"""What no sender brings: schedules, rules that follow the end of a job, events that rules emit, a person's own."""
import json
import os
import signal
import sqlite3
import time

from lib import Repository, Server, wait

ASAN_TOO = True


def deliveries(s, source):
    return s.get(f"/api/v1/deliveries?source={source}&limit=200")["deliveries"]


def jobs_of(s, rule):
    return s.get(f"/api/v1/jobs?rule={rule}&limit=200")["jobs"]


def ended(s, rule, n=1, seconds=30):
    """The N first jobs of RULE, once that many have ended."""
    def look():
        jobs = [j for j in jobs_of(s, rule) if j["ended_ms"]]
        return sorted(jobs, key=lambda j: j["id"]) if len(jobs) >= n else None
    return wait(f"{n} jobs of {rule}", look, seconds)


CHAIN = '''
rule "docs" { on = "push", when = { branch = "main" }, run = function(job)
  job:output("version", "1.2." .. job.id)
  job:output("files", { "a", "b" })
end }
rule "after-docs" { on = "rule:succeeded", when = { rule = "docs", repo = "acme/*", payload = { ["outputs.version"] = "1.2.*" } },
  env = { V = "{branch}" }, run = function(job)
  local c = job.cause
  job:log("%s %s %s %d %d", c.rule, c.state, c.outputs.version, c.job, c.depth)
  job:log(job.event.repo .. " " .. job.event.branch .. " " .. job.event.sha .. " " .. job.event.rule)
  job:log(c.outputs.files[2] .. " " .. job.payload.outputs.files[1])
  job:sh("echo on $V")
end }
rule "not-this" { on = "rule:succeeded", when = { rule = "site" }, run = function(job) end }
rule "each" { on = "job:succeeded", when = { rule = "docs" }, run = function(job) end }
rule "failures" { on = { "job:failed", "rule:failed" }, when = "always", run = function(job) end }
'''


def test_a_rule_follows_another_and_sees_its_cause_and_outputs():
    s = Server({"rules/c.lua": CHAIN})
    repo = Repository()
    sha = repo.commit({"x": "y"}, "change")
    first = s.push(repo)["matched"][0]["job"]
    job = ended(s, "after-docs")[0]
    lines = s.lines(job["id"])
    assert job["state"] == "succeeded", (job, lines)
    assert f"docs succeeded 1.2.{first} {first} 1" in lines, lines
    assert any(line.endswith(f"main {sha} docs") for line in lines), lines
    assert "b a" in lines and "on main" in lines, lines
    assert s.job(first)["outputs"] == {"version": f"1.2.{first}", "files": ["a", "b"]}
    assert len(ended(s, "each")) == 1
    for source in ("rule", "job"):
        heard = [d for d in deliveries(s, source) if d["key"] == str(first)]
        assert len(heard) == 1, heard
    d = s.get(f"/api/v1/deliveries/{job['delivery']}")
    assert (d["source"], d["event"], d["action"], d["repo"]) == ("rule", "finished", "succeeded", "acme/handbook"), d
    assert [w["rule"] for w in d["why"]] == ["not-this"] and "docs" in d["why"][0]["because"], d["why"]
    assert d["cause"]["rule"] == "docs" and d["cause"]["depth"] == 1, d
    assert d["root"] == 1 and "root" not in s.get("/api/v1/deliveries/1"), d
    assert all(("root" in x) == (x["source"] != "github") for x in s.get("/api/v1/deliveries")["deliveries"])
    assert not jobs_of(s, "failures") and not jobs_of(s, "not-this")
    # Lists say what caused it, and name the event as rules do; what is stored stays.
    by = {"rule": "docs", "job": first}
    assert d["caused_by"] == by and s.job(job["id"])["caused_by"] == by and "caused_by" not in s.job(first), d
    listed = s.cli("deliveries")[1]
    assert " rule:succeeded " in listed and " job:succeeded " in listed and "finished" not in listed and f"  by docs, job {first}\n" in listed, listed
    assert f"delivery {d['id']}: rule:succeeded from rule" in s.cli("deliveries", "show", str(d["id"]))[1]
    line = next(x for x in s.cli("jobs")[1].splitlines() if " after-docs " in x)
    assert line.endswith(f"  by docs, job {first}"), line
    code, out, err = s.cli("explain", str(job["delivery"]))
    assert code == 0 and "after-docs   match" in out and 'want "site", got "docs"' in out, (code, out, err)
    code, out, err = s.cli("trigger", "not-this", "--json")
    assert code == 0, (code, out, err)
    code, out, err = s.cli("explain", str(json.loads(out)["delivery"]))
    assert code == 0 and "this was meant for the rule" in out, (code, out, err)
    code, out, err = s.cli("backtest", s.site)
    assert code == 0, (code, out, err)


def test_a_matrix_is_one_event_when_all_its_cells_have_ended():
    s = Server({"rules/m.lua": '''
rule "cells" { on = "push", when = "always", matrix = { cc = { "gcc", "clang" } }, run = function(job)
  job:output(job.matrix.cc, job.id)
  if job.matrix.cc == "clang" then job:fail("no") end
end }
rule "bad" { on = "rule:failed", when = { rule = "cells" }, run = function(job)
  local c = job.cause
  job:log("%d jobs, gcc %s, clang %s, %s", #c.jobs, c.outputs.gcc ~= nil, c.outputs.clang ~= nil, c.state)
end }
rule "good" { on = "rule:succeeded", when = { rule = "cells" }, run = function(job) end }
rule "any" { on = "rule:finished", when = { rule = "cells" }, run = function(job) end }
rule "per-job" { on = { "job:failed", "job:succeeded" }, when = { rule = "cells" }, run = function(job) end }
'''})
    s.push(Repository())
    job = ended(s, "bad")[0]
    assert "2 jobs, gcc true, clang true, failed" in s.lines(job["id"]), s.lines(job["id"])
    assert len(ended(s, "any")) == 1 and len(ended(s, "per-job", 2)) == 2
    assert not jobs_of(s, "good")
    assert len(jobs_of(s, "bad")) == 1


def test_what_a_rule_emits_happens_once_with_its_end():
    s = Server({"rules/e.lua": '''
rule "build" { on = "push", when = "always", run = function(job)
  job:emit("built", { version = "7", list = { 1, 2 } })
  job:emit("unheard", {})
  job:emit("built", { version = "8" })
  job:fail("in the end")
end }
rule "deploy" { on = "local:built", when = { rule = "build", branch = "main", payload = { version = { exists = true } } }, run = function(job)
  job:log("version " .. job.payload.version .. " from job " .. job.cause.job)
end }
rule "none" { on = "local:built", when = { payload = { version = "9" } }, run = function(job) end }
'''})
    first = s.push(Repository())["matched"][0]["job"]
    jobs = ended(s, "deploy", 2)
    assert sorted(line for j in jobs for line in s.lines(j["id"])) == [f"version {v} from job {first}" for v in (7, 8)]
    kept = {d["key"]: d for d in deliveries(s, "local")}
    assert set(kept) == {f"{first}-1", f"{first}-2", f"{first}-3"}, kept
    assert kept[f"{first}-2"]["event"] == "unheard" and kept[f"{first}-2"]["jobs"] == 0


def test_bounds_of_outputs_and_events_are_said_at_the_call():
    s = Server({"rules/b.lua": '''
rule "b" { on = "push", when = "always", secrets = { "github" }, run = function(job)
  local function try(...) local ok, e = pcall(...) job:log("%s", tostring(ok) .. " " .. tostring(e)) end
  for i = 1, 32 do job:output("o" .. i, i) end
  try(job.output, job, "o33", 1)
  job:output("o32", "again")
  try(job.output, job, "o1", string.rep("x", 8 * 1024 - 2))
  try(job.output, job, "o1", string.rep("x", 8 * 1024 - 1))
  try(job.output, job, "a b", 1)
  try(job.output, job, "o2", print)
  try(job.output, job, "o2")
  for i = 1, 16 do job:emit("e", { i = i }) end
  try(job.emit, job, "e", {})
  try(job.emit, job, "f", "text")
  job:output("o3", "it is " .. job:secret "github")
end }
'''})
    job = s.push(Repository())["matched"][0]["job"]
    assert s.finished(job)["state"] == "succeeded"
    lines = s.lines(job)
    for text in ("false rules/b.lua:5: job:output: 'o33' is one too many, the most is 32", "true nil",
                 "false rules/b.lua:8: job:output: 'o1' is more than 8192 bytes of JSON", "not 'a b'", "has no form in JSON",
                 "job:emit: 'e' is one too many, the most is 16"):
        assert any(text.split(": ", 1)[-1] in line for line in lines), (text, lines)
    outputs = s.job(job)["outputs"]
    assert outputs["o32"] == "again" and len(outputs) == 32
    assert "Secret" not in json.dumps(outputs), "I11"
    wait("all events", lambda: len(deliveries(s, "local")) == 16)


def test_a_circle_of_rules_ends_at_its_bound_and_says_so():
    s = Server({"rules/l.lua": '''
rule "seed" { on = "push", when = "always", run = function(job) end }
rule "round" { on = "rule:finished", when = "always", run = function(job) job:log("depth " .. job.cause.depth) end }
'''})
    code, out, err = s.cli("check", s.site)
    assert code == 0 and "W119" in err + out, (code, out, err)
    s.push(Repository())
    jobs = ended(s, "round", 16, 60)
    last = wait("the event past the bound", lambda: len(deliveries(s, "rule")) == 17 and deliveries(s, "rule")[0])
    assert last["jobs"] == 0
    why = s.get(f"/api/v1/deliveries/{last['id']}")["why"]
    assert why[0]["rule"] == "round" and "the most is 16" in why[0]["because"], why
    assert "a chain of events is cut" in s.log()
    time.sleep(0.3)
    assert len(jobs_of(s, "round")) == 16
    assert "depth 16" in s.lines(jobs[-1]["id"])


def test_one_delivery_causes_so_many_events_and_no_more_however_they_branch():
    s = Server({"rules/w.lua": '''
rule "seed" { on = "push", when = "always", run = function(job) end }
rule "a" { on = "rule:finished", when = { rule = { ne = "nobody" } }, run = function(job) end }
'''})
    s.stop()
    db = sqlite3.connect(os.path.join(s.state, "pushrod.db"))       # as if the first delivery to come had caused 999 already
    db.execute("INSERT INTO source(id, name) VALUES(900, 'x')")
    for n in range(1, 1000):
        db.execute("INSERT INTO delivery(id, source, key, provider, event, action, received_ms, bytes, change, summary, ruleset, event_json,"
                   " headers, why, root) VALUES(?, 900, ?, '', '', '', ?, 0, 0, '{}', '', '{}', '{}', '[]', 1)", (-n, str(n), time.time_ns() // 1000000))
    db.commit()
    db.close()
    s.start()
    assert s.push(Repository())["delivery"] == 1
    ended(s, "a")
    last = wait("the event past the bound", lambda: len(deliveries(s, "rule")) == 2 and deliveries(s, "rule")[0])
    assert last["jobs"] == 0
    why = s.get(f"/api/v1/deliveries/{last['id']}")["why"]
    assert why[0]["rule"] == "a" and "has caused 1000 events already, the most is 1000" in why[0]["because"], why
    assert len(jobs_of(s, "a")) == 1


def test_no_death_of_the_front_loses_or_doubles_what_follows():
    s = Server({"rules/k.lua": '''
rule "first" { on = "push", when = "always", run = function(job) job:emit("note", { job = job.id }) end }
rule "second" { on = "rule:succeeded", when = { rule = "first" }, run = function(job) end }
rule "third" { on = "job:succeeded", when = { rule = "second" }, run = function(job) end }
rule "noted" { on = "local:note", when = "always", run = function(job) end }
'''})
    repo = Repository()
    body, sent = repo.push_body(), 0
    for round in range(4):
        for _ in range(5):
            try:
                sent += s.deliver(body)[0] == 202
            except OSError:
                pass
        time.sleep(0.02 * round)
        os.kill(s.roles()["front"], signal.SIGKILL)
        wait("another front", lambda: s.roles().get("front") and ready(s))
    assert sent >= 15, sent
    firsts = wait("all first ones", lambda: [j for j in jobs_of(s, "first") if j["ended_ms"]] if not open_jobs(s) else None, 60)
    good = [j for j in firsts if j["state"] == "succeeded"]
    assert len(good) >= 15, firsts
    for rule in ("second", "noted"):
        wait(f"as many of {rule}", lambda: len(jobs_of(s, rule)) >= len(good), 60)
    wait("the end of all", lambda: not open_jobs(s), 60)
    time.sleep(0.5)
    assert (len(jobs_of(s, "second")), len(jobs_of(s, "noted"))) == (len(good), len(good))
    assert len(jobs_of(s, "third")) == len([j for j in jobs_of(s, "second") if j["state"] == "succeeded"])
    keys = [d["key"] for d in deliveries(s, "rule")]
    assert len(keys) == len(set(keys))


def ready(s):
    try:
        return s.request("GET", "/readyz")[0] == 200
    except OSError:
        return False


def open_jobs(s):
    return sum(s.get("/api/v1/status")["jobs"].values())


def test_a_person_runs_a_rule_by_name_and_sends_an_event():
    s = Server({"rules/t.lua": '''
rule "deploy it" { on = "push", when = { branch = "never" }, run = function(job)
  job:log("%s %s %s", job.event.source, job.event.event, job.payload.to or "nowhere") end }
rule "hears" { on = "local:ready", when = { payload = { n = { ge = 2 } } }, run = function(job) job:log("n=" .. job.payload.n) end }
rule "off" { on = "push", when = "always", enabled = false, run = function(job) end }
'''})
    code, out, err = s.cli("trigger", "deploy it", "--data", '{"to": "production"}', "--json")
    assert code == 0, (code, out, err)
    job = json.loads(out)["matched"][0]["job"]
    s.finished(job)
    assert s.lines(job) == ["local trigger production"]
    assert s.cli("trigger", "deploy it")[0] == 0
    code, out, err = s.cli("trigger", "local:ready", "--data", '{"n": 2}')
    assert code == 0 and "  hears                job " in out, (code, out, err)
    code, out, err = s.cli("trigger", "local:ready", "--data", '{"n": 1}')
    assert code == 3 and "no: n: want >= 2, got 1" in out.replace("payload.", ""), (code, out, err)
    assert s.cli("trigger", "local:nobody")[0] == 3
    assert s.cli("trigger", "nothing")[0] == 5
    assert s.cli("trigger", "off")[0] == 1
    code, out, err = s.cli("trigger", "deploy it", "--data", "{")
    assert code == 2 and "line 1" in err, (code, out, err)
    assert s.cli("trigger", "local:a b")[0] == 1
    status, _, body = s.request("POST", "/api/v1/rules/off/trigger", b"{}")
    assert status in (401, 403), "without the control key nobody writes"


def test_what_was_due_while_it_was_down_runs_as_the_rule_says_and_only_once():
    s = Server({"rules/m.lua": '''
local f = function(job) job:log(job.event.planned) end
rule "once" { cron = "0 3 * * *", run = f }
rule "skip" { cron = { "0 3 * * *", missed = "skip" }, run = f }
rule "all"  { cron = { "0 3 * * *", missed = "all" }, run = f }
'''})
    wait("the schedules are armed", lambda: s.get("/api/v1/status")["deliveries"] == 0)
    time.sleep(0.5)
    for round in range(2):
        s.stop()
        db = sqlite3.connect(os.path.join(s.state, "pushrod.db"))
        assert db.execute("SELECT count(*) FROM schedule").fetchone() == (3,)
        if round == 0:                          # as if it had been down for five days
            db.execute("UPDATE schedule SET since_ms = since_ms - 5 * 86400000")
        else:                                   # or the clock were set back and forth: what has been, has been
            db.execute("UPDATE schedule SET since_ms = since_ms - 2 * 86400000")
        db.commit()
        db.close()
        s.start()
        ended(s, "once")
        ended(s, "all", 5)
        time.sleep(0.5)
        assert [len(jobs_of(s, r)) for r in ("once", "skip", "all")] == [1, 0, 5], round
    assert "had fired for this moment before" in s.log()
    days = sorted(s.lines(j["id"])[0] for j in jobs_of(s, "all"))
    assert all(j["planned"].endswith("T03:00:00Z") and "caused_by" not in j for j in jobs_of(s, "all"))
    assert s.cli("jobs", "--rule", "all", env={"TZ": "UTC"})[1].count("  cron 03:00\n") == 5
    assert s.cli("deliveries", env={"TZ": "Asia/Tokyo"})[1].count("  cron 12:00\n") == 6
    assert len(set(days)) == 5 and all(d.endswith("T03:00:00Z") for d in days), days


def test_a_schedule_fires_at_its_minute_and_is_kept_like_any_delivery():
    s = Server({"rules/s.lua": '''
rule "minutely" { cron = { "* * * * *", zone = "Europe/Berlin" }, run = function(job)
  job:log(job.event.source .. " " .. job.event.event .. " " .. job.event.planned .. " " .. job.payload.zone) end }
'''})
    time.sleep(1)
    before = s.get("/api/v1/status")
    job = ended(s, "minutely", 1, 70)[0]
    d = s.get(f"/api/v1/deliveries/{job['delivery']}")
    assert (d["source"], d["event"]) == ("cron", "cron") and d["key"].startswith("rules/s.lua:minutely@"), d
    assert d["key"].endswith(":00.000Z") and 0 <= d["received_ms"] % 60000 < 10000, d
    planned = d["key"].split("@")[1]
    assert s.lines(job["id"]) == [f"cron cron {planned[:19]}Z Europe/Berlin"]
    assert before["deliveries"] == 0
    status, _, said = s.request("POST", f"/api/v1/deliveries/{d['id']}/explain")
    assert status == 200 and [(r["rule"], r["only"], r["fires"]) for r in json.loads(said)["explained"]] == [("minutely", True, True)], said
    s.process.send_signal(signal.SIGHUP)        # a reload within the minute, and a new front, fire nothing again
    os.kill(s.roles()["front"], signal.SIGKILL)
    wait("another front", lambda: s.roles().get("front") and "schedule" in s.log() and ready(s))
    now = time.time()
    assert len([x for x in deliveries(s, "cron") if x["key"] == d["key"]]) == 1
    assert len(jobs_of(s, "minutely")) <= 1 + (now // 60 - d["received_ms"] / 1000 // 60)
