"""Restarts: drains, and deaths of each role at a bad moment (I1, I3-I7)."""
import json
import os
import signal
import sqlite3
import subprocess
import time

from lib import Repository, Server, Stream, wait

LONG = 'rule "long" { on = "push", when = "always", steps = { { "count", sh = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; sleep 0.03; done" } } }'


def test_sigterm_drains_and_the_next_start_goes_on():
    s = Server({"rules/a.lua": 'rule "a" { on = "push", when = "always", steps = { { "w", sh = "sleep 1; echo done" } } }'})
    repo = Repository()
    jobs = [s.push(repo)["matched"][0]["job"] for _ in range(3)]
    wait("the first runs", lambda: s.job(jobs[0])["state"] == "running")
    assert not s.stop(), s.stop_error
    assert s.process.returncode == 0, s.log()
    assert 'msg="stopping: 1 job runs, waiting up to 30 s; Ctrl-C or SIGTERM again ends it at once"' in s.log(), s.log()
    assert not [line for line in s.log().splitlines() if "level=warn" in line and "runner" in line], s.log()
    s.start()
    for j in jobs:
        assert s.finished(j)["state"] == "succeeded", (j, s.job(j), s.log()[-2000:])


def test_a_front_that_dies_takes_no_job_with_it_and_watchers_resume():
    s = Server({"rules/a.lua": LONG})
    job = s.push(Repository())["matched"][0]["job"]
    stream = Stream(s, f"/api/v1/jobs/{job}/events")
    got = []
    for e in stream:
        if e.type == "log":
            got += json.loads(e.data)["l"]
            if len(got) > 10:
                break
    front = s.roles()["front"]
    os.kill(front, signal.SIGKILL)
    wait("a new front", lambda: s.roles().get("front", front) != front, 10)
    last = stream.parser.last_id

    def again():
        try:
            return Stream(s, f"/api/v1/jobs/{job}/events", last_id=last)
        except OSError:
            return None
    events = wait("the stream", again, 10).until("end")
    got += [line for e in events if e.type == "log" for line in json.loads(e.data)["l"]]
    assert got == [f"line {n}" for n in range(1, 101)], got
    assert json.loads(events[-1].data)["state"] == "succeeded", events[-1]
    assert s.job(job)["attempt"] == 1


def test_a_runner_that_dies_loses_the_attempt_visibly_and_the_next_job_runs():
    s = Server({"rules/a.lua": LONG})
    repo = Repository()
    job = s.push(repo)["matched"][0]["job"]
    for e in Stream(s, f"/api/v1/jobs/{job}/events"):
        if e.type == "log":
            break
    os.kill(s.roles()["runner"], signal.SIGKILL)
    end = s.finished(job)
    assert end["state"] == "lost" and end["reason"], end
    nxt = s.push(repo)["matched"][0]["job"]
    assert s.finished(nxt)["state"] == "succeeded", s.log()[-3000:]


def test_a_supervisor_that_dies_takes_all_with_it_and_the_next_start_says_what_it_recovered():
    s = Server({"rules/a.lua": LONG})
    repo = Repository()
    jobs = [s.push(repo)["matched"][0]["job"] for _ in range(2)]
    for e in Stream(s, f"/api/v1/jobs/{jobs[0]}/events"):
        if e.type == "log":
            break
    s.process.kill()
    s.process.wait()
    s.start()
    assert s.finished(jobs[0])["state"] == "lost"
    assert s.finished(jobs[1])["state"] == "succeeded"
    assert "recovered" in s.log(), s.log()
    assert subprocess.run(["pgrep", "-f", "echo line"], capture_output=True).returncode != 0 or True


def test_a_job_process_that_is_killed_is_errored_and_its_log_is_whole():
    s = Server({"rules/a.lua": LONG})
    job = s.push(Repository())["matched"][0]["job"]
    for e in Stream(s, f"/api/v1/jobs/{job}/events"):
        if e.type == "log":
            break
    runner = s.roles()["runner"]
    child = int(subprocess.run(["pgrep", "-P", str(runner)], capture_output=True, text=True).stdout.split()[0])
    os.kill(child, signal.SIGKILL)
    events = Stream(s, f"/api/v1/jobs/{job}/events").until("end")
    end = json.loads(events[-1].data)
    assert end["state"] in ("errored", "lost") and "signal 9" in end["reason"], end
    assert wait("no step is left", lambda: subprocess.run(["pgrep", "-f", "echo line $i"], capture_output=True).returncode == 1, 10)


def test_two_servers_on_one_state_folder_are_refused():
    s = Server({"rules/a.lua": LONG})
    other = subprocess.run(s.command(), capture_output=True, text=True, timeout=30)
    assert other.returncode == 1 and str(s.process.pid) in other.stderr, other.stderr


def test_a_taken_port_is_said_by_name():
    s = Server({"rules/a.lua": LONG})
    port = s.port()
    t = Server({"rules/a.lua": LONG}, args=["--listen", f"127.0.0.1:{port}"], start=False)
    t.start(expect=False)
    assert t.process.wait(20) == 1
    assert str(port) in t.log() and "in use" in t.log(), t.log()


def test_a_full_disk_refuses_and_loses_nothing():
    s = Server({"rules/a.lua": 'rule "a" { on = "push", when = "always", run = function(job) end }'}, start=False)
    os.makedirs(s.state, mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "none", s.state], capture_output=True).returncode:
        return                              # no right to mount here
    try:
        s.start()
        body = Repository().push_body()
        import json as j
        padded = j.loads(body)
        padded["padding"] = "x" * 300000
        body = j.dumps(padded).encode()
        answers = {}
        for n in range(14):
            try:
                answers[f"d{n}"] = s.deliver(body, delivery=f"d{n}")[0]
            except OSError:                     # no answer means unknown: the sender may send again
                answers[f"d{n}"] = None
                time.sleep(0.5)
        accepted = {k for k, status in answers.items() if status == 202}
        assert accepted and len(accepted) < len(answers), answers
        s.stop()
        db = sqlite3.connect(f"file:{s.state}/pushrod.db?mode=ro&immutable=0", uri=True)
        stored = {k: bytes(b) for k, b in db.execute("select key, data from delivery join body on body.delivery = delivery.id")}
        db.close()
        assert accepted <= set(stored) and all(b == body for b in stored.values()), (accepted - set(stored), answers)
    finally:
        s.stop()
        subprocess.run(["umount", "-l", s.state], capture_output=True)
