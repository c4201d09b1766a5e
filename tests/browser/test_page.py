"""The page in Chromium, against a real server."""
import contextlib
import json
import os
import sqlite3
import subprocess

import run
from lib import CONFIG, ROOT, Repository, Server, wait

HERE = os.path.join(ROOT, "tests/browser")


def browser(test, server, *args, timeout=400):
    code, out = run.npm_ci(HERE)
    assert code == 0, out
    p = subprocess.run(["node", os.path.join(HERE, "browser.mjs"), test, server.url(), *map(str, args)],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    assert p.returncode == 0, p.stdout
    return p.stdout


def live(test, server, args, then):
    """A test that does THEN once the page says READY."""
    code, out = run.npm_ci(HERE)
    assert code == 0, out
    p = subprocess.Popen(["node", os.path.join(HERE, "browser.mjs"), test, server.url(), *map(str, args)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while "READY\n" not in said:
            line = p.stdout.readline()
            assert line, said
            said += line
        then()
        out, _ = p.communicate(timeout=90)
        assert p.returncode == 0, out
    finally:
        p.kill()


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
    live("list_is_live", s, [job + 1], lambda: s.push(Repository()))


def test_deliveries_are_found_paged_and_live():
    s, job = server("true")
    repo = Repository()
    for _ in range(100):
        s.push(repo)
    s.deliver(b'{"zen":"a"}', event="ping")
    code, _, err = s.cli("trigger", "local:hello")
    assert code in (0, 3), err
    live("deliveries", s, [103], lambda: (s.push(repo), s.deliver(b'{"zen":"b"}', event="ping")))


def test_a_delivery_tells_why_and_how_to_have_it_again():
    s, job = server("true")
    repo = Repository()
    big = json.loads(repo.push_body())
    big.update({"none": {}, "many": ["x" * 20] * 4000, "big": 9007199254740993})
    status, answer = s.deliver(json.dumps(dict([("big", big.pop("big")), ("none", big.pop("none"))] + list(big.items()))).encode())
    assert status == 202, answer
    big = answer["delivery"]
    body = json.dumps({"zen": "it's \"$HOME\" `id` \\ é"}, ensure_ascii=False).encode()
    status, answer = s.deliver(body, event="ping")
    assert status == 202, answer
    ping = answer["delivery"]
    code, _, err = s.cli("replay", str(ping))
    assert code in (0, 3), err
    out = browser("delivery", s, big, ping, ping + 1)
    command = json.loads(next(line for line in out.splitlines() if line.startswith("CURL "))[5:])
    given = subprocess.run(["sh", "-c", "curl() { printf '%s\\0' \"$@\"; }\n" + command], capture_output=True, check=True).stdout.split(b"\0")
    assert given[0].decode() == f"{s.url()}/hooks/github", given
    assert given[given.index(b"--data-raw") + 1] == body, given
    assert b"x-github-event: ping" in [h.lower() for h in given], given
    assert not any(b"signature" in h.lower() for h in given), given
    fixture = json.loads(next(line for line in out.splitlines() if line.startswith("FIXTURE "))[8:])
    code, said, err = s.cli("explain", "-", s.site, "--json", stdin=fixture)
    assert code == 3 and json.loads(said)["event"] == "ping", (code, said, err)


def test_a_rule_is_explained_condition_by_condition():
    s = Server({"rules/r.lua": 'rule "older" { on = "push", when = "always", run = function(job) end }\n'})
    repo = Repository()
    repo.commit({"a": "b"}, "<img src=x onerror='window.pwned=1'>")
    delivery = s.push(repo)["delivery"]
    then = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/r.lua", 'rule "newer" { on = "push", when = { any = { { branch = "dev" }, { branch = "main" } }, message = { has = "[go]" }, '
            'payload = { ["pusher.nam"] = "ada" } }, filter = function(event) return true end, run = function(job) end }\n')
    wait("the newer rules are in force", lambda: s.get("/api/v1/rules")["ruleset"] != then)
    live("explained", s, [delivery], lambda: os.unlink(os.path.join(s.state, "rulesets", then)))


def test_a_delivery_leads_to_what_came_before():
    s = Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", run = function(job) end }\n'
                'rule "after" { on = "rule:succeeded", when = { rule = "r", branch = "dev" }, run = function(job) end }\n'})
    repo = Repository()
    first = s.push(repo)
    s.finished(first["matched"][0]["job"])
    caused = wait("what the job caused", lambda: [d for d in s.get("/api/v1/deliveries")["deliveries"] if d["source"] == "rule"])[0]
    again = s.push(repo)
    assert again["same_as"] == first["delivery"], again
    browser("origins", s, again["delivery"], first["delivery"], caused["id"], first["matched"][0]["job"])


def test_what_is_gone_is_said_and_the_page_stays_a_page():
    config = '%s\nsource "lan" { auth = "none" }\n' % CONFIG
    s = Server({"pushrod.lua": config, "rules/r.lua": 'rule "r" { on = "push", when = "always", run = function(job) end }\n'})
    old, large = (s.deliver(body, source="lan", secret=None)[1]["delivery"] for body in (b'{"a":1}', b'{"a":"%s"}' % (b"x" * (1 << 20))))
    s.deliver(b"{}", source="lan", secret=None)
    s.stop()
    with contextlib.closing(sqlite3.connect(os.path.join(s.state, "pushrod.db"))) as db, db:
        db.execute("UPDATE delivery SET received_ms = received_ms - 100000 WHERE id = ?", (old,))     # time passes
    s.write("pushrod.lua", config.replace("config {", 'config { keep = { deliveries = "1m", bodies = "1MiB" },'))
    s.start()
    wait("one is past its time", lambda: s.request("GET", f"/api/v1/deliveries/{old}")[0] == 410)
    wait("and the other's body", lambda: s.request("GET", f"/api/v1/deliveries/{large}/body")[0] == 410)
    browser("gone", s, old, large)


def test_a_body_that_cannot_be_shown_can_be_had():
    s = Server({"rules/r.lua": 'rule "dev" { on = "push", when = { branch = "dev" }, run = function(job) end }\n'})
    form = b"payload=%7B%22zen%22%3A%22a%22%7D&more=\xff\xfe"
    status, binary = s.deliver(form, event="ping", kind="application/x-www-form-urlencoded")
    assert status == 202, binary
    large = b'{"zen":"' + b"x" * ((5 << 20) - 10) + b'"}'
    status, answer = s.deliver(large, event="ping")
    assert status == 202, answer
    browser("bodies", s, binary["delivery"], answer["delivery"], len(large))


def test_without_script_the_page_says_where_the_same_is_text():
    s, job = server("true")
    browser("no_script", s, 1)


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
