"""pushrod backtest: the edited directory over the deliveries that a server keeps."""
import json

from lib import CONFIG, Repository, Server, git
from test_explain import site

ASAN_TOO = True
RULE = 'rule "{0}" {{ on = "push", when = {{ branch = {1} }}, steps = {{ {{ "s", sh = "true" }} }} }}\n'


def a_server():
    """Deliveries: 1 on main, 2 on dev, 3 on dev again. In force: main fires on main."""
    s = Server({"rules/a.lua": RULE.format("main", '"main"')})
    repo = Repository()
    s.push(repo)
    git(repo.path, "branch", "dev")
    s.push(repo, "--branch", "dev")
    git(repo.path, "checkout", "-q", "dev")
    repo.commit({"x": "1"})
    s.push(repo, "--branch", "dev")
    return s


def test_what_starts_and_what_stops():
    s = a_server()
    same = site(RULE.format("main", '"main"'), CONFIG)
    code, out, err = s.cli("backtest", same, "--fail-on-difference")
    assert code == 0 and "3 deliveries of the last 7d: 0 jobs would start, 0 would stop" in out, (code, out, err)
    edited = site(RULE.format("main", '"trunk"') + RULE.format("dev", '"dev"'), CONFIG)
    code, out, err = s.cli("backtest", edited)
    assert code == 0, (out, err)
    assert "dev    2 would start: 3, 2" in out and "main   1 would stop: 1" in out, out
    assert "2 jobs would start, 1 would stop, against the rules in force" in out, out
    assert s.cli("backtest", edited, "--fail-on-difference")[0] == 1
    said = json.loads(s.cli("backtest", edited, "--json")[1])
    assert {r["rule"]: (r["start"], r["stop"]) for r in said["rules"]} == {"dev": ([3, 2], []), "main": ([], [1])}, said


def test_against_history_looks_at_the_jobs_of_then():
    s = a_server()
    now = RULE.format("main", '{ "main", "dev" }')
    s.write("rules/a.lua", now)
    from lib import wait
    before = s.get("/api/v1/status")["ruleset"]
    s.process.send_signal(1)
    wait("the new rules are in force", lambda: s.get("/api/v1/status")["ruleset"] != before)
    edited = site(now, CONFIG)
    code, out, _ = s.cli("backtest", edited)
    assert code == 0 and "0 jobs would start" in out, out
    code, out, _ = s.cli("backtest", edited, "--against", "history")
    assert code == 0 and "main   2 would start: 3, 2" in out and "what was started then" in out, out


def test_since_and_source_narrow_it_and_mistakes_are_said():
    s = a_server()
    edited = site(RULE.format("dev", '"dev"'), CONFIG)
    assert json.loads(s.cli("backtest", edited, "--since", "1ms", "--json")[1])["deliveries"] == 0
    assert json.loads(s.cli("backtest", edited, "--source", "github", "--json")[1])["deliveries"] == 3
    assert json.loads(s.cli("backtest", edited, "--source", "gitlab", "--json")[1])["deliveries"] == 0
    assert s.cli("backtest", edited, "--since", "7")[0] == 2
    assert s.cli("backtest", edited, "--against", "x")[0] == 2
    code, out, _ = s.cli("backtest", site(RULE.format("dev", '"dev"'), 'source "other" { auth = "none" }\n'), "--json")
    said = json.loads(out)
    assert said["refused"] == 3 and said["stops"] == 1 and said["starts"] == 0, said
    assert s.cli("backtest", edited, "--state", "/nonexistent")[0] == 4


def test_all_pages_are_read():
    s = Server({"rules/a.lua": RULE.format("main", '"nothing"')})
    repo = Repository()
    for i in range(201):
        repo_body = repo.push_body() if i == 0 else repo_body
        assert s.deliver(repo_body)[0] == 202
    edited = site(RULE.format("main", '"main"'), CONFIG)
    said = json.loads(s.cli("backtest", edited, "--json")[1])
    assert said["deliveries"] == 201 and said["rules"][0]["start"] == list(range(201, 0, -1)), said
