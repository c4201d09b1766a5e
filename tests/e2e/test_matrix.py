"""What a rule makes of a match: cells of a matrix, events that are met once, requests from forks."""
import json
import os
import re

from lib import ROOT, Repository, Server, git

ASAN_TOO = True

MATRIX = '''
rule "ci" {
  on = "push", when = { branch = "main" },
  matrix = { { part = "web", cc = "gcc",   when = { paths = "web/**" } },
             { part = "api", cc = "clang", when = { paths = "api/**" } },
             { part = "doc", cc = "tcc" } },
  env = { CC = "{matrix.cc}", WHERE = "{branch}/{matrix.part}" },
  steps = { { "say", sh = "echo $CC at $WHERE" } },
}
rule "product" {
  on = "push", when = "always",
  matrix = { cc = { "gcc", "clang" }, n = { 1, 2 } },
  run = function(job) job:log("cell %s %d", job.matrix.cc, job.matrix.n + 10) end,
}
rule "plain" { on = "push", when = "always", run = function(job) job:log("matrix " .. tostring(job.matrix)) end }
'''


def test_each_cell_is_a_job_and_a_cell_that_does_not_run_says_why():
    s = Server({"rules/ci.lua": MATRIX})
    repo = Repository()
    repo.commit({"web/index.html": "x\n"})
    answer = s.push(repo)
    jobs = {(m["rule"], m.get("cell", "")): m["job"] for m in answer["matched"]}
    assert sorted(jobs) == [("ci", "cc=gcc part=web"), ("ci", "cc=tcc part=doc"), ("plain", ""), ("product", "cc=clang n=1"),
                            ("product", "cc=clang n=2"), ("product", "cc=gcc n=1"), ("product", "cc=gcc n=2")], answer
    assert answer["not_matched"][0]["rule"] == "ci" and answer["not_matched"][0]["cell"] == "cc=clang part=api", answer
    assert "api/**" in answer["not_matched"][0]["because"], answer
    for job in jobs.values():
        assert s.finished(job)["state"] == "succeeded", s.job(job)
    assert s.lines(jobs["ci", "cc=gcc part=web"]) == ["gcc at main/web"]
    assert s.lines(jobs["ci", "cc=tcc part=doc"]) == ["tcc at main/doc"]
    assert s.lines(jobs["product", "cc=clang n=2"]) == ["cell clang 12"]
    assert s.lines(jobs["plain", ""]) == ["matrix nil"]
    assert s.job(jobs["ci", "cc=gcc part=web"])["cell"] == "cc=gcc part=web"
    code, out, _ = s.cli("jobs", "--rule", "ci")
    assert code == 0 and "ci cc=gcc part=web" in out, out
    code, out, _ = s.cli("replay", "1", "--dry-run")
    assert code == 0 and re.search(r"(?m)^  ci +cc=gcc part=web$", out) and re.search(r"(?m)^  ci +no: cc=clang part=api: paths: ", out), out
    code, out, _ = s.cli("trigger", "product")
    assert code == 0 and re.search(r"(?m)^  product +job \d+  cc=clang n=2  http://", out), out


def test_I3_a_delivery_that_comes_twice_makes_each_cell_once():
    s = Server({"rules/ci.lua": MATRIX})
    repo = Repository()
    body = repo.push_body()
    _, first = s.deliver(body, delivery="one")
    status, again = s.deliver(body, delivery="one")
    assert status == 200 and again["duplicate"], again
    assert [(m["rule"], m.get("cell"), m["job"]) for m in again["matched"]] == \
        [(m["rule"], m.get("cell"), m["job"]) for m in first["matched"]]
    assert len(s.get("/api/v1/jobs")["jobs"]) == len(first["matched"])


def test_a_cell_has_a_queue_slot_of_its_own():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", matrix = { n = { 1, 2 } }, run = function(job) job:sh("sleep 600") end }'})
    repo = Repository()
    first = {m["cell"]: m["job"] for m in s.push(repo)["matched"]}
    second = {m["cell"]: m["job"] for m in s.push(repo)["matched"]}
    assert {s.job(first[c])["state"] for c in first} == {"running"}, "both cells of the first push run at once"
    assert {s.job(second[c])["state"] for c in second} == {"queued"}, "those of the second wait, each for its own"
    assert s.cli("cancel", str(first["n=2"]))[0] == 0
    s.finished(first["n=2"])
    assert s.job(second["n=2"])["state"] == "running" and s.job(second["n=1"])["state"] == "queued"
    for job in (*first.values(), *second.values()):
        s.cli("cancel", str(job))


def test_check_finds_what_is_wrong_with_a_matrix():
    s = Server({"rules/r.lua": '''rule "r" { on = "push", when = "always",
  matrix = { { cc = "gcc" }, { cc = "gcc" } },
  run = function(job) end }
'''}, start=False)
    code, out, err = s.cli("check", s.site)
    assert code == 1 and "rules/r.lua:2:" in out + err and "two cells of the matrix are cc=gcc" in out + err, out + err
    s.write("rules/r.lua", '''rule "r" { on = "push", when = "always", matrix = { compiler = { "gcc" } },
  env = { CC = "{matrix.compilr}" }, run = function(job) end }
''')
    code, out, err = s.cli("check", s.site, "--json")
    assert code == 1 and "did you mean 'compiler'" in json.dumps(json.loads(out)), out


# ---- once ----

ONCE = '''
rule "paid" {
  on = "push", when = "always", once = { key = "{branch} {title}", within = "1h" },
  run = function(job) job:log("paid") end,
}
'''


def test_once_skips_the_second_event_of_a_key_also_after_a_restart():
    s = Server({"rules/r.lua": ONCE})
    repo = Repository()
    repo.commit({"a": "1\n"}, "order 7")
    first = s.push(repo)["matched"][0]
    assert s.finished(first["job"])["state"] == "succeeded"
    second = s.push(repo)["matched"][0]
    assert second["state"] == "skipped" and second["reason"] == f'once: job {first["job"]} was the first of "main order 7"', second
    job = s.job(second["job"])
    assert job["state"] == "skipped" and job["reason"] == second["reason"] and job["attempts"] == [], job
    assert s.finished(second["job"])["state"] == "skipped", "its stream ends too"
    assert s.cli("watch", str(second["job"]))[0] == 0
    s.stop()
    s.start()
    assert s.push(repo)["matched"][0]["state"] == "skipped"
    repo.commit({"a": "2\n"}, "order 8")
    assert "state" not in s.push(repo)["matched"][0]


# ---- forks ----

FORKS = '''
rule "asks"    { on = "pull_request", when = "always", secrets = { "key" }, run = function(job) job:log("ran") end }
rule "limited" { on = "pull_request", when = "always", secrets = { "key" }, forks = "limited",
  env = { TITLE = "{title}" },
  run = function(job)
    job:sh("echo $TITLE")
    local ok, why = pcall(job.secret, job, "key")
    job:log(tostring(ok) .. " " .. tostring(why))
  end }
rule "trusted" { on = "pull_request", when = "always", secrets = { "key" }, forks = "trust", run = function(job) job:log(#job:secret "key") end }
rule "ignores" { on = "pull_request", when = "always", forks = "ignore", run = function(job) end }
'''


def pull_request(name):
    with open(os.path.join(ROOT, "tests/golden/github", name + ".json"), "rb") as f:
        return f.read()


def test_a_request_from_a_fork_waits_runs_limited_is_trusted_or_ignored():
    s = Server({"rules/r.lua": FORKS}, env={"PUSHROD_SECRET_KEY": "four-and-twenty"})
    for n, name in enumerate(("pull_request_fork", "pull_request_fork_gone")):
        status, answer = s.deliver(pull_request(name), event="pull_request")
        assert status == 202, answer
        jobs = {m["rule"]: m for m in answer["matched"]}
        assert sorted(jobs) == ["asks", "limited", "trusted"], answer
        assert jobs["asks"]["state"] == "awaiting_approval" and "waits for an approval" in jobs["asks"]["reason"], answer
        assert any(r["rule"] == "ignores" and 'forks = "ignore"' in r["because"] for r in answer["not_matched"]), answer
        job = s.job(jobs["asks"]["job"])
        assert job["state"] == "awaiting_approval" and job["forks"] == "approve" and job["started_ms"] is None, job
        limited, trusted = (s.finished(jobs[r]["job"]) for r in ("limited", "trusted"))
        assert trusted["state"] == "succeeded" and trusted["forks"] == "trust", trusted
        assert s.lines(jobs["trusted"]["job"]) == ["15"]
        assert limited["forks"] == "limited", limited
        if s.job(limited["id"])["attempts"][0]["confinement"].startswith("landlock"):
            assert limited["state"] == "succeeded", limited
            lines = s.lines(limited["id"])
            assert lines[0] == "Explain the index" and "false" in lines[1] and "has no secrets" in lines[1], lines
        else:
            assert limited["state"] == "refused" and "Landlock" in limited["reason"], limited
        assert len(s.get("/api/v1/jobs?state=awaiting_approval")["jobs"]) == 1, f"round {n}"
        code, out, _ = s.cli("jobs", "--state-is", "awaiting_approval")
        assert code == 0 and "awaiting_approval" in out and "asks" in out, out
        assert s.cli("cancel", str(job["id"]))[0] == 0
        assert s.finished(job["id"])["state"] == "cancelled"
        assert s.get("/api/v1/status")["jobs"]["awaiting_approval"] == 0


def test_a_request_from_the_same_repository_is_trusted():
    s = Server({"rules/r.lua": FORKS}, env={"PUSHROD_SECRET_KEY": "four-and-twenty"})
    status, answer = s.deliver(pull_request("pull_request_same"), event="pull_request")
    assert status == 202 and len(answer["matched"]) == 4 and all("state" not in m for m in answer["matched"]), answer
    for m in answer["matched"]:
        job = s.finished(m["job"])
        assert job["state"] == "succeeded" and "forks" not in job, job


# ---- filter ----

FILTER = '''
rule "yes"  { on = "push", when = "always", filter = function(event) return event.branch == "main" end, run = function(job) job:log("ran") end }
rule "no"   { on = "push", when = "always", filter = function(event) return false, "the title is '" .. event.title .. "'" end,
              steps = { { "a", sh = "true" } } }
rule "nil"  { on = "push", when = "always",
  filter = function(event) end,
  run = function(job) end }
rule "loop" { on = "push", when = "always", filter = function(event) while true do end end, run = function(job) end }
'''


def test_a_filter_decides_in_the_job_and_its_reason_shows():
    s = Server({"rules/r.lua": FILTER})
    repo = Repository()
    repo.commit({"a": "1\n"}, "A title")
    jobs = {m["rule"]: s.finished(m["job"]) for m in s.push(repo)["matched"]}
    assert jobs["yes"]["state"] == "succeeded", jobs
    assert (jobs["no"]["state"], jobs["no"]["reason"]) == ("skipped", "the title is 'A title'"), jobs
    assert jobs["nil"]["state"] == "failed" and jobs["nil"]["reason"] == "rules/r.lua:6: a filter returns true or false, not nil", jobs
    assert jobs["loop"]["state"] == "failed" and "rules/r.lua:8: the filter went over its 50 million instructions" in jobs["loop"]["reason"], jobs
    assert s.cli("watch", str(jobs["no"]["id"]))[0] == 0
    with open(os.path.join(s.home, "event.json"), "wb") as f:
        f.write(repo.push_body())
    code, out, err = s.cli("explain", os.path.join(s.home, "event.json"), s.site, "--event", "push")
    assert "filter" in out and "asked last, when the job starts" in out, (code, out, err)
