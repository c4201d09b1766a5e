"""What a rule makes of a match: the cells of a matrix."""
import json

from lib import Repository, Server

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
