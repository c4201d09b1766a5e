"""Jobs: bounds, cancel, secrets, orphans."""
import json
import os
import subprocess
import time

from lib import CONFIG, Repository, Server, Stream, wait

ASAN_TOO = True


def run(lua, config=None, env=None, args=(), files=None):
    s = Server({"rules/r.lua": lua, **({"pushrod.lua": config} if config else {}), **(files or {})}, env=env)
    return s, s.push(Repository(), *args)["matched"][0]["job"]


def notes(s, job):
    return [json.loads(e.data) for e in Stream(s, f"/api/v1/jobs/{job}/events").until("end") if e.type == "note"]


def alive(marker):
    out = subprocess.run(["pgrep", "-f", marker], capture_output=True, text=True).stdout.split()
    return [p for p in out if p]


def test_a_step_over_its_time_is_killed_with_its_whole_tree():
    s, job = run('rule "r" { on = "push", when = "always", steps = { { "slow", sh = "sleep 31.4159 & sh -c \'sleep 31.4159\' ; echo no", timeout = "1s" } } }')
    end = s.finished(job)
    assert end["state"] in ("timed_out", "failed"), end
    wait("no sleep is left", lambda: not alive("sleep 31.4159"), 10)
    assert "no" not in s.lines(job)


def test_a_job_over_its_time_is_timed_out():
    s, job = run('rule "r" { on = "push", when = "always", timeout = "1s", run = function(job) while true do end end }')
    end = s.finished(job)
    assert end["state"] == "timed_out", end


def test_no_daemonised_grandchild_outlives_its_step():
    s, job = run('''rule "r" { on = "push", when = "always", steps = {
      { "daemon", sh = "setsid sh -c '(setsid sleep 271.828 </dev/null >/dev/null 2>&1 &) & exit' ; echo started" } } }''')
    assert s.finished(job)["state"] == "succeeded", s.lines(job)
    assert not alive("sleep 271.828"), "the grandchild must be gone before the job is final"


def test_a_step_with_more_processes_than_jobs_may_have_is_killed_whole():
    config = CONFIG.replace("file_urls = true,", "file_urls = true, processes = 16,")
    s, job = run('''rule "r" { on = "push", when = "always", steps = {
      { "bomb", sh = "i=0; while [ $i -lt 200 ]; do sleep 161.803 & i=$((i+1)); done; wait" } } }''', config)
    end = s.finished(job)
    assert end["state"] == "failed" and end["exit_code"] == 137, end
    assert any("over 16 processes" in n["text"] for n in notes(s, job)), notes(s, job)
    assert not alive("sleep 161.803")
    s, job = run('''rule "r" { on = "push", when = "always", steps = {
      { "few", sh = "i=0; while [ $i -lt 10 ]; do sleep 0.5 & i=$((i+1)); done; wait" } } }''', config)
    assert s.finished(job)["state"] == "succeeded", s.lines(job)


def test_cancel_by_the_command_line_ends_a_running_and_a_waiting_job():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", steps = { { "long", sh = "echo begun; exec sleep 60" } } }'})
    repo = Repository()
    first, second = (s.push(repo)["matched"][0]["job"] for _ in range(2))
    stream = Stream(s, f"/api/v1/jobs/{first}/events")
    for e in stream:
        if e.type == "log" and "begun" in e.data:
            break
    assert s.job(second)["state"] == "queued", "a rule's jobs run one at a time"
    code, out, err = s.cli("cancel", str(second))
    assert code == 0 and "cancelled" in out, (out, err)
    assert s.job(second)["state"] == "cancelled"
    code, out, err = s.cli("cancel", str(first))
    assert code == 0, err
    assert json.loads(stream.until("end")[-1].data)["state"] == "cancelled"
    code, _, err = s.cli("cancel", str(first))
    assert code == 1 and err, "it has ended already"
    assert s.cli("cancel", "4711")[0] == 5


def test_I9_a_rules_jobs_run_one_at_a_time_in_order_of_arrival():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", steps = { { "work", sh = "echo $CI_JOB_ID >>../../../order; sleep 0.05" } } }'.replace("../../../order", "/dev/null")})
    repo = Repository()
    jobs = [s.push(repo)["matched"][0]["job"] for _ in range(8)]
    spans = []
    for j in jobs:
        s.finished(j)
        d = s.job(j)
        spans.append((d["started_ms"], d["ended_ms"]))
    assert spans == sorted(spans) and all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), spans


def test_I11_a_secret_reaches_the_step_and_no_log_or_database():
    secret = "correct-horse-battery-staple"
    s, job = run('''rule "r" { on = "push", when = "always", secrets = { "deploy" }, run = function(job)
      local key = job:secret("deploy")
      job:sh('test "$KEY" = "$(printf correct-; printf horse-battery-staple)" && echo same', { env = { KEY = key } })
      job:sh('printf %s "$KEY"; echo; printf %s "$KEY" | base64; printf %s "$KEY" | od -An -tx1 | tr -d " \\n"; echo', { env = { KEY = key } })
      job:sh('for c in $(printf %s "$KEY" | sed "s/./& /g"); do printf %s "$c"; sleep 0.01; done; echo', { env = { KEY = key } })
      job:log("the key is " .. key)
      job:fail("could not use " .. key)
    end }''', env={"PUSHROD_SECRET_DEPLOY": secret})
    end = s.finished(job)
    assert end["state"] == "failed" and "***" in end["reason"], end
    lines = s.lines(job)
    assert "same" in lines and "the key is ***" in lines, lines
    import base64
    forms = [secret.encode(), secret.encode().hex().encode(), base64.b64encode(secret.encode())[:-4]]
    s.stop()
    for where, _, names in os.walk(s.state):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path):
                data = open(path, "rb").read()
                for f in forms:
                    assert f not in data, (path, f)
    assert secret not in s.log()


def test_a_secret_the_rule_does_not_name_is_refused_by_name():
    s, job = run('rule "r" { on = "push", when = "always", run = function(job) job:secret("deploy") end }', env={"PUSHROD_SECRET_DEPLOY": "correct-horse"})
    end = s.finished(job)
    assert end["state"] == "failed" and "deploy" in end["reason"] and "secrets" in end["reason"], end


def test_a_step_sees_its_workspace_and_nothing_of_the_state_folder():
    s, job = run('''rule "r" { on = "push", when = "always", run = function(job)
      job:sh("echo here >note; cat note; echo home=$HOME; env | cut -d= -f1 | sort")
      job:sh("cat %s/control.key 2>&1; cat %s/pushrod.db 2>&1 | head -c 16; ls %s 2>&1; echo looked", { allow_failure = true })
    end }''')
    s.write("rules/r.lua", open(os.path.join(s.site, "rules/r.lua")).read().replace("%s", s.state))
    wait("the reload", lambda: "control.key" in str(s.get("/api/v1/rules")) or s.log().count("rules") > 1, 10)
    time.sleep(0.5)
    job = s.push(Repository())["matched"][0]["job"]
    s.finished(job)
    text = "\n".join(s.lines(job))
    key = open(os.path.join(s.state, "control.key")).read().strip()
    assert "here" in text and key not in text and "SQLite format" not in text, text
    if "landlock" in (s.job(job)["attempts"][0].get("confinement") or ""):
        assert "Permission denied" in text, text
    assert "PUSHROD_SECRET_GITHUB" not in text and "CI_COMMIT_SHA" in text, text


def test_every_attempt_has_its_confinement_recorded():
    s, job = run('rule "r" { on = "push", when = "always", steps = { { "x", sh = "true" } } }')
    s.finished(job)
    assert s.job(job)["attempts"][0].get("confinement"), s.job(job)


def test_skip_fail_and_errors_say_why():
    s = Server({"rules/r.lua": '''
rule "skips" { on = "push", when = "always", run = function(job) pcall(function() job:skip("not on Fridays") end) job:log("unreached") end }
rule "fails" { on = "push", when = "always", run = function(job) job:defer(function() job:log("deferred") end) job:fail("no luck") end }
rule "breaks" { on = "push", when = "always", run = function(job)
  local x = nil
  return x.field
end }
rule "bomb" { on = "push", when = "always", run = function(job) return ("x"):rep(1e9) end }
'''})
    answer = s.push(Repository())
    ends = {m["rule"]: (m["job"], s.finished(m["job"])) for m in answer["matched"]}
    assert ends["skips"][1]["state"] == "skipped" and ends["skips"][1]["reason"] == "not on Fridays", ends
    assert "unreached" not in s.lines(ends["skips"][0])
    assert ends["fails"][1]["state"] == "failed" and ends["fails"][1]["reason"] == "no luck"
    assert "deferred" in s.lines(ends["fails"][0])
    assert ends["breaks"][1]["state"] == "failed" and "rules/r.lua:6" in ends["breaks"][1]["reason"], ends["breaks"]
    assert ends["bomb"][1]["state"] == "failed" and "memory" in ends["bomb"][1]["reason"], ends["bomb"]


def test_a_hundred_megabytes_of_output_keep_memory_flat_and_the_bound_is_said():
    s, job = run('rule "r" { on = "push", when = "always", steps = { { "flood", sh = "head -c 100000000 /dev/zero | tr \'\\\\0\' y | fold -w 79; echo last" } } }',
                 config=CONFIG.replace("file_urls = true", 'file_urls = true, log = "16MiB"'))
    end = s.finished(job, 120)
    assert end["state"] == "succeeded", end
    assert end["log_bytes"] < (17 << 20), end
    assert any("bound" in n["text"] for n in notes(s, job)), notes(s, job)
