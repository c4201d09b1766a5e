"""What a server forgets: deliveries, jobs and their journals past their age, rule sets that nothing names."""
import os
import sqlite3
import time

from lib import Repository, Server, wait

ASAN_TOO = True

RULE = 'rule "one" { on = "push", when = "always", run = function(job) job:log("%s") end }'


def rulesets(s):
    return set(os.listdir(os.path.join(s.state, "rulesets")))


def in_force(s):
    return s.get("/api/v1/rules")["ruleset"]


def edit(s, text):
    before = in_force(s)
    s.write("rules/a.lua", RULE % text)
    wait("the edit is in force", lambda: in_force(s) != before)
    return in_force(s)


def run_sql(s, *statements):
    db = sqlite3.connect(os.path.join(s.state, "pushrod.db"))
    for text in statements:
        db.execute(text)
    db.commit()
    db.close()


def test_rule_sets_go_when_nothing_names_them_and_come_back_whole():
    s = Server({"rules/a.lua": RULE % "first"})
    repo = Repository()
    first = in_force(s)
    job = s.push(repo)["matched"][0]["job"]
    s.finished(job)
    second = edit(s, "second")
    third = edit(s, "third")
    wait("the second set goes: no delivery ever named it", lambda: second not in rulesets(s))
    assert rulesets(s) == {first, third}
    open(os.path.join(s.state, "rulesets", f"{second}.1.tmp"), "w").close()
    s.stop()
    run_sql(s, "UPDATE delivery SET received_ms = received_ms - 40 * 86400000",
            "UPDATE job SET queued_ms = queued_ms - 100 * 86400000, ended_ms = ended_ms - 100 * 86400000")
    s.start()
    wait("the delivery and its job go", lambda: s.request("GET", "/api/v1/deliveries/1")[0] == 410)
    assert s.request("GET", f"/api/v1/jobs/{job}")[0] == 410
    wait("its journal goes", lambda: not os.listdir(os.path.join(s.state, "journals")))
    s.stop()
    s.start()
    wait("the first set goes", lambda: rulesets(s) == {third})
    assert edit(s, "first") == first and first in rulesets(s)
    answer = s.push(repo)
    assert answer["delivery"] == 2, "numbers are not used again"
    again = answer["matched"][0]["job"]
    s.finished(again)
    assert s.lines(again) == ["first"]


def test_the_workspace_of_a_failed_job_stays_for_as_long_as_the_site_says():
    s = Server({"pushrod.lua": '''config { listen = { "127.0.0.1:0" }, keep = { failed_workspaces = "60s" } }
source "github" { provider = "github", secret = secret "github" }
''', "rules/a.lua": 'rule "fails" { on = "push", when = "always", run = function(job) job:sh("echo x > left; exit 3") end }'})
    repo = Repository()
    workspaces = os.path.join(s.state, "workspaces")
    jobs = []
    for seconds in (0, 40, 80):
        for job in jobs:                        # as if that much time had passed since it ended
            path = os.path.join(workspaces, f"{job}.1")
            if os.path.exists(path):
                os.utime(path, (time.time() - seconds,) * 2)
        jobs.append(s.push(repo)["matched"][0]["job"])
        assert s.finished(jobs[-1])["state"] == "failed"
        wait("the sweep at the job's end", lambda: set(os.listdir(workspaces)) == {f"{j}.1" for j in (jobs if seconds < 60 else jobs[-1:])})
    with open(os.path.join(workspaces, f"{jobs[-1]}.1", "left"), encoding="ascii") as f:
        assert f.read() == "x\n"
