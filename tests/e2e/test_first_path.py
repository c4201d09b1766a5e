"""A signed push becomes a job whose log is followed live."""
import json
import os
import socket
import subprocess
import threading
import time
import uuid

from lib import CONFIG, ROOT, SECRET, Repository, Server, Stream, folder, git, sign, wait

ASAN_TOO = True

CI = '''rule "ci" {
  on = "push", when = { branch = "main" }, checkout = true,
  steps = { { "look", sh = "ls; git log --oneline -1" }, { "test", exec = { "sh", "./test.sh" } } },
}
'''


def test_a_push_is_checked_out_and_its_steps_run():
    repo = Repository({"README": "hello\n", "test.sh": "echo out; echo err >&2; exit 0\n"})
    s = Server({"rules/ci.lua": CI})
    answer = s.push(repo)
    assert [m["rule"] for m in answer["matched"]] == ["ci"], answer
    number = answer["matched"][0]["job"]
    assert answer["matched"][0]["url"].endswith(f"/jobs/{number}")
    events = Stream(s, f"/api/v1/jobs/{number}/events").until("end")
    kinds = [e.type for e in events]
    assert kinds[0] == "state" and kinds[-1] == "end", kinds
    lines = [line for e in events if e.type == "log" for line in json.loads(e.data)["l"]]
    assert "README" in lines and "test.sh" in lines and "out" in lines and "err" in lines, lines
    assert any("Begin" in line for line in lines), lines
    end = json.loads(events[-1].data)
    assert end["state"] == "succeeded", (end, lines)
    job = s.job(number)
    assert job["state"] == "succeeded" and job["attempt"] == 1 and job["branch"] == "main", job
    assert job["attempts"][0]["log_bytes"] == job["log_bytes"] > 0, job
    steps = [json.loads(e.data) for e in events if e.type == "step"]
    assert [x["name"] for x in steps if x["state"] == "running"][-2:] == ["look", "test"], steps


def test_a_failing_step_fails_the_job_and_the_rest_is_skipped():
    repo = Repository()
    s = Server({"rules/ci.lua": '''rule "ci" { on = "push", when = "always",
      steps = { { "one", sh = "echo one; exit 3" }, { "two", sh = "echo never" } } }'''})
    number = s.push(repo)["matched"][0]["job"]
    events = Stream(s, f"/api/v1/jobs/{number}/events").until("end")
    end = json.loads(events[-1].data)
    assert end["state"] == "failed" and end["exit_code"] == 3, end
    states = [(x.get("name"), x["state"]) for x in (json.loads(e.data) for e in events if e.type == "step")]
    assert ("one", "running") in states and any(st == "failed" for _, st in states) and any(st == "skipped" for _, st in states), states
    assert "never" not in "".join(e.data for e in events if e.type == "log")


def test_the_reply_says_why_the_others_did_not_fire():
    repo = Repository()
    s = Server({"rules/ci.lua": CI, "rules/dev.lua": 'rule "dev" { on = "push", when = { branch = "dev" }, run = function(job) end }',
                "rules/tag.lua": 'rule "tag" { on = "tag", when = "always", run = function(job) end }'})
    answer = s.push(repo)
    because = {n["rule"]: n["because"] for n in answer["not_matched"]}
    assert list(because) == ["dev"], because
    assert "branch" in because["dev"] and '"dev"' in because["dev"] and '"main"' in because["dev"], because
    why = s.get(f"/api/v1/deliveries/{answer['delivery']}")["why"]
    assert why == answer["not_matched"], why


def test_a_second_delivery_of_the_same_id_is_a_duplicate_with_the_first_ones_jobs():
    repo = Repository()
    s = Server({"rules/ci.lua": CI})
    body, key = repo.push_body(), str(uuid.uuid4())
    status, first = s.deliver(body, delivery=key)
    assert status == 202
    status, second = s.deliver(body, delivery=key)
    assert status == 200 and second["duplicate"] is True and second["delivery"] == first["delivery"], second
    assert [m["job"] for m in second["matched"]] == [m["job"] for m in first["matched"]], (first, second)
    s.finished(first["matched"][0]["job"])
    assert len(s.get("/api/v1/jobs")["jobs"]) == 1


def test_the_body_is_kept_byte_for_byte_also_as_a_form():
    import urllib.parse
    repo = Repository()
    s = Server({"rules/ci.lua": CI})
    body = repo.push_body() + b"\n  "
    answer = s.deliver(body)[1]
    assert s.request("GET", f"/api/v1/deliveries/{answer['delivery']}/body")[2] == body
    form = ("payload=" + urllib.parse.quote_plus(repo.push_body().decode())).encode()
    status, answer = s.deliver(form, kind="application/x-www-form-urlencoded")
    assert status == 202 and answer["matched"][0]["rule"] == "ci", answer
    assert s.request("GET", f"/api/v1/deliveries/{answer['delivery']}/body")[2] == form
    s.finished(answer["matched"][0]["job"])


def test_what_is_refused_is_refused_with_the_right_status_and_leaves_nothing():
    repo = Repository()
    s = Server({"rules/ci.lua": CI})
    body = repo.push_body()
    cases = [
        (401, dict(secret="wrong")), (401, dict(secret=None)), (401, dict(secret=None, headers={"X-Hub-Signature-256": "sha256="})),
        (401, dict(secret=None, headers={"X-Hub-Signature-256": sign(body)[:-1]})),
        (401, dict(secret=None, headers={"X-Hub-Signature": "sha1=" + "0" * 40})),
        (415, dict(kind="text/plain")), (415, dict(headers={"Content-Encoding": "gzip"})),
        (400, dict(headers={"X-GitHub-Event": None})), (404, dict(source="nobody")),
    ]
    for want, kw in cases:
        status, answer = s.deliver(body, **kw)
        assert status == want, (want, status, kw, answer)
        assert want == 404 or answer["status"] == want, answer
    for bad in (b"{", b"", b"[1,2", b'{"ref":1e999}', b"{}{}", b'{"a":"\xff"}'):
        status, answer = s.deliver(bad)
        assert status == 400, (bad, status, answer)
    status, headers, _ = s.request("GET", "/hooks/github")
    assert status == 405 and "POST" in headers["allow"], headers
    assert s.get("/api/v1/deliveries")["deliveries"] == []
    assert s.get("/api/v1/jobs")["jobs"] == []


def test_the_old_and_the_new_secret_both_verify_while_both_are_listed():
    config = CONFIG.replace('secret = secret "github"', 'secret = { secret "new", { secret "github", not_after = "2099-01-01" }, { secret "gone", not_after = "2020-01-01" } }')
    repo = Repository()
    s = Server({"pushrod.lua": config, "rules/ci.lua": CI}, env={"PUSHROD_SECRET_NEW": "brand-new-secret", "PUSHROD_SECRET_GONE": "expired-secret"})
    body = repo.push_body()
    assert s.deliver(body, secret="brand-new-secret")[0] == 202
    assert s.deliver(body)[0] == 202
    assert s.deliver(body, secret="expired-secret")[0] == 401


def test_a_body_of_24_mib_is_taken_and_one_over_the_bound_is_not():
    repo = Repository()
    s = Server({"rules/ci.lua": 'rule "ci" { on = "push", when = { branch = "main" }, run = function(job) job:log("size %d", #job.payload.padding) end }'})
    base = json.loads(repo.push_body())
    base["padding"] = "x" * (24 << 20)
    answer = s.deliver(json.dumps(base).encode())
    assert answer[0] == 202, answer
    number = answer[1]["matched"][0]["job"]
    assert s.finished(number)["state"] == "succeeded", s.lines(number)
    assert f"size {24 << 20}" in s.lines(number)
    base["padding"] = "x" * (26 << 20)
    body = json.dumps(base).encode()
    try:
        status, _ = s.deliver(body)
    except (BrokenPipeError, ConnectionResetError):
        status = 413                        # it answered and closed while we were still sending
    assert status == 413, status


def test_the_quickstart_example_runs_as_it_is():
    repo = Repository({"README": "x\n", "test.sh": "echo 'test 1: ok'\n"})
    s = Server(example="quickstart", args=["--listen", "127.0.0.1:0"])
    answer = s.push(repo)
    assert [m["rule"] for m in answer["matched"]] == ["ci"]
    assert s.finished(answer["matched"][0]["job"])["state"] == "succeeded", s.lines(1)
    assert "test 1: ok" in s.lines(answer["matched"][0]["job"])


def test_the_docs_sync_example_publishes_atomically_and_keeps_old_releases():
    repo = Repository({"docs/index.md": "one\n", "build.sh": "mkdir -p site && cp docs/index.md site/index.html\n"})
    s = Server(example="docs-sync", args=["--listen", "127.0.0.1:0"])
    number = s.push(repo)["matched"][0]["job"]
    assert s.finished(number)["state"] == "succeeded", s.lines(number)
    page = os.path.join(s.site, "www/handbook/index.html")
    assert open(page).read() == "one\n"
    first = os.path.realpath(os.path.join(s.site, "www/handbook"))
    repo.commit({"docs/index.md": "two\n"})
    number = s.push(repo)["matched"][0]["job"]
    assert s.finished(number)["state"] == "succeeded", s.lines(number)
    assert open(page).read() == "two\n"
    assert os.path.islink(os.path.join(s.site, "www/handbook")) and os.path.isdir(first), "the old release stays"
    repo.commit({"docs/drafts/x.md": "draft\n"})
    answer = s.push(repo)
    assert answer["matched"] == [] and "paths" in answer["not_matched"][0]["because"], answer
