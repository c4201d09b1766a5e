"""The command line: help, exit codes, what a user would try."""
import json
import os
import signal
import subprocess
import time

from lib import Repository, Server, binary, environment, wait

ASAN_TOO = True
RULES = {"rules/a.lua": '''rule "good" { on = "push", when = { branch = "main" }, steps = { { "say", sh = "echo hello" } } }
rule "bad" { on = "push", when = { branch = "dev" }, steps = { { "no", sh = "exit 7" } } }
rule "slow" { on = "push", when = { branch = "slow" }, timeout = "1s", steps = { { "z", sh = "sleep 30" } } }
'''}


def bare(*args):
    p = subprocess.run([binary(), *args], capture_output=True, text=True, timeout=30, env=environment(), cwd="/")
    return p.returncode, p.stdout, p.stderr


def test_help_and_mistakes():
    code, out, _ = bare("--help")
    assert code == 0
    for command in ("serve", "check", "explain", "test", "backtest", "import", "test", "simulate", "watch", "jobs", "logs", "cancel", "status", "version"):
        assert command in out, out
        code, text, _ = bare(command, "--help")
        assert code == 0 and command in text, (command, text)
    code, _, err = bare("wacth")
    assert code == 2 and "watch" in err, err
    code, _, err = bare("jobs", "--jsno")
    assert code == 2 and "--json" in err, err
    assert bare()[0] == 2
    code, out, _ = bare("version")
    assert code == 0 and out.startswith("pushrod ")
    assert json.loads(bare("version", "--json")[1])["version"]
    code, _, err = bare("status")
    assert code == 4 and err, err
    code, _, err = bare("serve", "/nonexistent")
    assert code == 1 and "/nonexistent" in err, err


def test_watch_exits_with_the_jobs_result():
    s = Server(RULES)
    repo = Repository()
    job = s.push(repo)["matched"][0]["job"]
    code, out, err = s.cli("watch", str(job))
    assert code == 0 and "hello" in out and "succeeded" in out and "\033" not in out, (code, out, err)
    from lib import git
    git(repo.path, "branch", "dev")
    git(repo.path, "branch", "slow")
    job = s.push(repo, "--branch", "dev")["matched"][0]["job"]
    code, out, _ = s.cli("watch", str(job))
    assert code == 1 and "exit 7" in out, out
    job = s.push(repo, "--branch", "slow")["matched"][0]["job"]
    assert s.cli("watch")[0] == 124
    assert s.cli("watch", "99")[0] == 5
    code, out, _ = s.cli("watch", "1", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and events[-1]["event"] == "end" and events[-1]["data"]["state"] == "succeeded", events


def test_watch_is_interrupted_with_130():
    s = Server(RULES)
    repo = Repository()
    from lib import git
    git(repo.path, "branch", "slow")
    s.push(repo, "--branch", "slow")
    p = subprocess.Popen([binary(), "watch"], env=environment({"PUSHROD_STATE": s.state}), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))       # a runner in the background ignores it
    p.stdout.readline()
    p.send_signal(signal.SIGINT)
    assert p.wait(10) in (130, -2)


def test_jobs_logs_and_status():
    s = Server(RULES)
    job = s.push(Repository())["matched"][0]["job"]
    s.finished(job)
    code, out, _ = s.cli("jobs")
    assert code == 0 and "good" in out and "succeeded" in out, out
    assert json.loads(s.cli("jobs", "--json")[1])["jobs"][0]["id"] == job
    assert s.cli("jobs", "--limit", "0")[0] == 2
    code, out, _ = s.cli("logs", str(job))
    assert code == 0 and "hello" in out.splitlines(), out
    assert s.cli("logs", "99")[0] == 5
    code, out, _ = s.cli("status")
    assert code == 0 and "0 running" in out, out


def test_simulate_signs_sends_and_tells_what_matched():
    s = Server(RULES)
    repo = Repository()
    body = os.path.join(s.home, "push.json")
    with open(body, "wb") as f:
        f.write(repo.push_body())
    code, out, err = s.cli("simulate", "github", "push", "--site", s.site, "--file", body)
    assert code == 0 and "good" in out and "bad" in out and "/jobs/1" in out, (code, out, err)
    with open(body, "wb") as f:
        f.write(repo.push_body("--ref", "refs/heads/other", "--after", repo.commit({"x": "1"})))
    code, out, err = s.cli("simulate", "github", "push", "--site", s.site, "--file", body)
    assert code == 3, (code, out, err)
    code, out, err = s.cli("simulate", "nobody", "push", "--site", s.site, "--file", body)
    assert code == 2 and "nobody" in err and "github" in err, err
    code, _, err = s.cli("simulate", "github", "push", "--site", s.site)
    assert code == 0, err


def test_ctrl_c_ends_serve_cleanly():
    s = Server(RULES)
    assert not s.stop(signal.SIGINT), s.stop_error
    assert s.process.returncode in (0, 130), s.process.returncode
