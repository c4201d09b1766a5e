"""The page in Chromium, against a real server."""
import os
import subprocess

import run
from lib import ROOT, Repository, Server, wait

HERE = os.path.join(ROOT, "tests/browser")


def browser(test, server, *args, timeout=180):
    code, out = run.npm_ci(HERE)
    assert code == 0, out
    p = subprocess.run(["node", os.path.join(HERE, "browser.mjs"), test, server.url(), *map(str, args)],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    assert p.returncode == 0, p.stdout
    return p.stdout


def server(script, name="r"):
    s = Server({"rules/r.lua": 'rule "%s" { on = "push", when = "always", steps = { { "work", sh = [[%s]] } } }\n'
                'rule "dev" { on = "push", when = { branch = "dev" }, run = function(job) end }' % (name, script)})
    return s, s.push(Repository())["matched"][0]["job"]


def test_a_page_opened_late_and_cut_shows_every_line_once():
    s, job = server("i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.02; done")
    browser("late_and_cut", s, job, 400)


def test_the_list_of_jobs_is_live():
    s, job = server("sleep 0.1")
    s.finished(job)
    p = subprocess.Popen(["node", os.path.join(HERE, "browser.mjs"), "list_is_live", s.url(), str(job + 1)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while True:
            line = p.stdout.readline()
            assert line, "the browser ended"
            if line.strip() == "READY":
                break
        s.push(Repository())
        assert p.wait(90) == 0, p.stdout.read()
    finally:
        p.kill()


def test_no_script_runs_from_a_log_or_a_title():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", steps = { { "<b>x</b>", sh = [[echo "<img src=x onerror=alert(1)>"; '
                'echo "<script>window.pwned=1</script>"; printf "\\033]8;;javascript:alert(1)\\033\\\\\\\\link\\033]8;;\\033\\\\\\\\\\n"]] } } }'})
    repo = Repository()
    repo.commit({"a": "b"}, "<img src=x onerror='window.pwned=1'> <script>window.pwned=1</script>")
    answer = s.push(repo)
    job = answer["matched"][0]["job"]
    s.finished(job)
    browser("nothing_runs", s, job, answer["delivery"])


def test_the_pages_are_accessible_in_both_schemes_and_on_a_phone():
    s, job = server("printf '\\033[31mred\\033[0m and \\033[1;32mgreen\\033[0m\\n'; echo see https://example.org/; echo oops >&2; exit 2")
    s.finished(job)
    browser("accessible", s, job, 1)


def test_a_hundred_thousand_lines_stay_light():
    s, job = server("seq -f 'line %g' 100000")
    s.finished(job)
    browser("many_lines", s, job, 100000)
