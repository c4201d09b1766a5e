"""Queues of a running server: debounce and merge, latest, cancel, skip, one that rules share, a restart in between."""
import os
import signal
import time

from lib import CONFIG, Repository, Server, git, wait

ASAN_TOO = True


def server(rules, config=None):
    return Server({"rules/r.lua": rules, **({"pushrod.lua": CONFIG + config} if config else {})})


def state(s, job):
    return s.job(job)["state"]


def runs(s, job):
    wait(f"job {job} runs", lambda: state(s, job) == "running")


def only(answer):
    assert len(answer["matched"]) == 1, answer
    return answer["matched"][0]


BUILD = '''
rule "docs" { on = "push", when = "always", queue = { busy = "latest", debounce = "%s" }, run = function(job)
  job:checkout()
  job:sh("cat NUMBER")
  local seen = {}
  for _, d in ipairs(job.batch) do seen[#seen + 1] = d.id .. ":" .. d.sha end
  job:output("batch", table.concat(seen, " "))
  job:output("before", job.event.before)
  job:output("paths", job.event.paths and table.concat(job.event.paths, " ") or "unknown")
end }
'''


def test_five_fast_pushes_become_one_job_for_the_last_commit():
    s, repo = server(BUILD % "2s"), Repository()
    root = repo.commit({"NUMBER": "zero\n"})
    shas, answers = [], []
    for n in ("one", "two", "three", "four", "five"):
        shas.append(repo.commit({"NUMBER": n + "\n", n + ".md": "x"}))
        answers.append(s.push(repo, delivery=f"00000000-0000-4000-8000-00000000000{len(shas)}"))
    first = only(answers[0])
    assert first["state"] == "debouncing" and "merged" not in first, first
    assert first["reason"].startswith("until ") and "then it queues" in first["reason"], first
    for a in answers[1:]:
        m = only(a)
        assert m["job"] == first["job"] and m["merged"] is True and m["state"] == "debouncing", a
    waiting = s.job(first["job"])
    assert waiting["state"] == "debouncing" and waiting["deliveries"] == 5 and waiting["until_ms"] > time.time() * 1000 - 1000, waiting
    code, out, err = s.cli("jobs", "--state-is", "debouncing")
    assert code == 0 and "  until " in out and "debouncing" in out, (out, err)
    assert s.finished(first["job"])["state"] == "succeeded", s.lines(first["job"])
    assert "five" in s.lines(first["job"])
    job = s.job(first["job"])
    ids = [a["delivery"] for a in answers]
    assert [b["delivery"] for b in job["batch"]] == ids and [b["sha"] for b in job["batch"]] == shas, job["batch"]
    assert job["outputs"]["batch"] == " ".join(f"{i}:{sha}" for i, sha in zip(ids, shas)), job["outputs"]
    assert job["outputs"]["before"] == root, "from where the first push began"
    assert sorted(job["outputs"]["paths"].split()) == sorted(["NUMBER", "one.md", "two.md", "three.md", "four.md", "five.md"]), job["outputs"]
    assert job["sha"] == shas[-1] and job["delivery"] == ids[-1]
    for n, a in enumerate(answers):
        d = s.get(f"/api/v1/deliveries/{a['delivery']}")
        assert [j["id"] for j in d["job_list"]] == [job["id"]] and d["jobs"] == 1, d
        status, again = s.deliver(repo.push_body(), delivery=f"00000000-0000-4000-8000-00000000000{n + 1}")
        assert status == 200 and again["duplicate"] and only(again)["job"] == job["id"], again
    assert len(s.get("/api/v1/jobs")["jobs"]) == 1
    code, out, err = s.cli("deliveries", "show", str(ids[1]))
    assert code == 0 and f"job {job['id']} succeeded" in out and f"stands for 5 deliveries, the newest is {ids[4]}" in out, (out, err)


def test_a_force_push_in_a_burst_leaves_the_paths_unknown():
    s, repo = server(BUILD % "1s"), Repository()
    repo.commit({"NUMBER": "one\n"})
    repo.commit({"NUMBER": "two\n"})
    a = only(s.push(repo))
    git(repo.path, "reset", "-q", "--hard", "HEAD^")
    repo.commit({"NUMBER": "instead\n"})
    b = only(s.push(repo))                          # begins where a did, not at what a left
    assert a["job"] == b["job"] and b["merged"], (a, b)
    assert s.finished(a["job"])["state"] == "succeeded", s.lines(a["job"])
    assert "instead" in s.lines(a["job"])
    assert s.job(a["job"])["outputs"]["paths"] == "unknown"


def test_changed_files_asked_of_git_are_those_of_the_whole_burst():
    s = server('''rule "docs" { on = "push", when = { paths = "docs/**" }, paths_from = "git", queue = { debounce = "1s" },
      run = function(job) job:output("paths", table.concat(job.event.paths, " ")) end }''')
    repo = Repository()
    before = repo.commit({"a": "1"})
    repo.commit({"docs/x": "1"})
    first = only(s.push(repo))
    repo.commit({"b": "2"})
    second = s.push(repo, "--before", before)       # claims more than it is: begins where the first did, so the payload's files are not known
    assert only(second)["job"] == first["job"], second
    assert s.finished(first["job"])["state"] == "succeeded", s.lines(first["job"])
    assert s.job(first["job"])["outputs"]["paths"] == "b docs/x"


def test_a_debounce_goes_on_over_the_death_of_the_front():
    s, repo = server(BUILD % "2s"), Repository({"NUMBER": "one\n"})
    job = only(s.push(repo))["job"]
    os.kill(s.roles()["front"], signal.SIGKILL)
    wait("the front is back", lambda: "front" in s.roles())
    repo.commit({"NUMBER": "two\n"})

    def push():
        try:
            return s.push(repo)
        except (OSError, AssertionError):
            return None
    assert only(wait("it takes deliveries", push))["job"] == job
    assert s.finished(job)["state"] == "succeeded"
    assert "two" in s.lines(job) and s.job(job)["deliveries"] == 2


def test_a_debounced_job_is_cancelled_by_the_command_line():
    s = server(BUILD % "1h")
    job = only(s.push(Repository()))["job"]
    assert s.cli("cancel", str(job))[0] == 0
    assert s.finished(job)["state"] == "cancelled"


SLEEP = '''rule "%s" { on = "push", when = "always", queue = %s, steps = { { "sleep", sh = "echo begun; sleep %s" } } }
'''


def test_latest_keeps_the_newest_that_waits_and_merges_pushes_of_one_ref():
    s, repo = server(SLEEP % ("r", '{ busy = "latest" }', "60")), Repository()
    first = only(s.push(repo))["job"]
    runs(s, first)
    waits = only(s.push(repo))
    assert waits["job"] != first
    merged = only(s.push(repo))
    assert merged["job"] == waits["job"] and merged["merged"], merged
    other = only(s.push(repo, "--full-name", "acme/other"))
    assert other["job"] != waits["job"]
    gone = s.job(waits["job"])
    assert gone["state"] == "superseded" and gone["heir"] == other["job"] and f"job {other['job']}" in gone["reason"], gone
    code, out, _ = s.cli("jobs")
    assert f"job {other['job']} took its place" in out, out
    s.cli("cancel", str(first))
    runs(s, other["job"])
    s.cli("cancel", str(other["job"]))


def test_cancel_stops_the_running_job_for_the_newer_one():
    s, repo = server(SLEEP % ("r", '{ key = "{repo} {ref}", busy = "cancel" }', "60")), Repository()
    first = only(s.push(repo))["job"]
    elsewhere = only(s.push(repo, "--full-name", "acme/other"))["job"]
    runs(s, first)
    runs(s, elsewhere)
    began = time.monotonic()
    second = only(s.push(repo))["job"]
    end = s.finished(first)
    assert end["state"] == "cancelled" and end["heir"] == second and f"job {second}" in end["reason"], end
    assert time.monotonic() - began < 30, "it did not sleep to its end"
    runs(s, second)
    assert state(s, elsewhere) == "running", "another key is another slot"
    for job in (second, elsewhere):
        s.cli("cancel", str(job))


def test_cancel_is_told_again_where_the_front_died_before_it_was_heard():
    s, repo = server(SLEEP % ("r", '{ busy = "cancel" }', "60")), Repository()
    first = only(s.push(repo))["job"]
    runs(s, first)
    os.kill(s.roles()["runner"], signal.SIGSTOP)
    runner = s.roles()["runner"]
    second = only(s.push(repo))["job"]
    os.kill(s.roles()["front"], signal.SIGKILL)
    os.kill(runner, signal.SIGCONT)
    end = wait("the front is back", lambda: _finished(s, first), 40)
    assert end["state"] in ("cancelled", "lost"), end
    wait("the heir runs", lambda: _state(s, second) == "running", 40)
    s.cli("cancel", str(second))


def _finished(s, job):
    try:
        j = s.job(job)
        return j if j["ended_ms"] else None
    except (OSError, AssertionError):
        return None


def _state(s, job):
    try:
        return state(s, job)
    except (OSError, AssertionError):
        return None


def test_skip_refuses_while_the_slot_is_full():
    s, repo = server(SLEEP % ("r", '{ busy = "skip", limit = 2 }', "60")), Repository()
    jobs = [only(s.push(repo))["job"] for _ in range(2)]
    for job in jobs:
        runs(s, job)
    third = only(s.push(repo))
    assert third["state"] == "skipped" and third["reason"] == f"its queue is full, 2 of 2: job {jobs[0]} runs", third
    s.cli("cancel", str(jobs[0]))
    assert s.finished(jobs[0])["state"] == "cancelled"
    fourth = only(s.push(repo))
    assert "state" not in fourth, fourth
    runs(s, fourth["job"])
    for job in (jobs[1], fourth["job"]):
        s.cli("cancel", str(job))


def test_a_queue_is_shared_by_the_rules_that_name_it():
    s = server(SLEEP % ("a", '"production"', "60") + SLEEP % ("b", '"production"', "0") + SLEEP % ("c", "{}", "0"),
               'queue "production" { limit = 1, busy = "wait" }\n')
    jobs = {m["rule"]: m["job"] for m in s.push(Repository())["matched"]}
    runs(s, jobs["a"])
    assert s.finished(jobs["c"])["state"] == "succeeded"
    assert state(s, jobs["b"]) == "queued", "it waits for a, whose queue it shares"
    s.cli("cancel", str(jobs["a"]))
    assert s.finished(jobs["b"])["state"] == "succeeded"


def test_a_policy_that_a_reload_changes_holds_for_the_jobs_from_then_on():
    s, repo = server(SLEEP % ("r", '{ busy = "wait" }', "60")), Repository()
    first = only(s.push(repo))["job"]
    runs(s, first)
    waits = [only(s.push(repo))["job"] for _ in range(2)]
    assert [state(s, j) for j in waits] == ["queued", "queued"]
    before = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/r.lua", SLEEP % ("r", '{ busy = "skip" }', "60"))
    wait("the new rules are in force", lambda: s.get("/api/v1/rules")["ruleset"] != before)
    assert only(s.push(repo))["state"] == "skipped"
    assert [state(s, j) for j in waits] == ["queued", "queued"]
    for job in [*waits, first]:
        s.cli("cancel", str(job))


def test_nothing_wakes_the_store_while_nothing_is_due():
    s = server(BUILD % "1h")
    only(s.push(Repository()))
    time.sleep(1.5)                                 # the log is written back, the page's beats are none

    def switches():
        total = {}
        front = s.roles()["front"]
        for task in os.listdir(f"/proc/{front}/task"):
            with open(f"/proc/{front}/task/{task}/status", encoding="ascii") as f:
                total[task] = next(int(line.split()[1]) for line in f if line.startswith("voluntary"))
        return total
    before = switches()
    time.sleep(3)
    after = switches()
    assert {t: after[t] - before.get(t, 0) for t in after if after[t] != before.get(t, 0)} == {}, (before, after)
