"""pushrod explain: why a rule did not fire, for files and for deliveries that a server keeps."""
import base64
import concurrent.futures
import json
import os

from lib import Repository, Server, binary, environment, folder, wait
import subprocess

ASAN_TOO = True
CONFIG = '''config { listen = { { "127.0.0.1:0", serve = { "hooks", "pages" } } } }
source "github" { provider = "github", secret = secret "github" }
source "lan" { auth = "none" }
'''
RULES = '''rule "docs" { on = "push", when = { repo = "acme/handbook", branch = "main", paths = "docs/**" }, steps = { { "a", sh = "true" } } }
rule "dev" { on = "push", when = { branch = "dev", payload = { ["pusher.nam"] = "ada" } }, steps = { { "a", sh = "true" } } }
rule "tags" { on = "tag", when = "always", steps = { { "a", sh = "true" } } }
'''
PUSH = {"ref": "refs/heads/main", "after": "1" * 40, "before": "2" * 40, "created": False, "deleted": False, "forced": False,
        "repository": {"full_name": "acme/handbook", "default_branch": "main"}, "pusher": {"name": "ada"},
        "commits": [{"added": ["src/x.c"], "removed": [], "modified": []}]}


def site(rules=RULES, config=CONFIG):
    home = folder()
    os.makedirs(os.path.join(home, "rules"))
    for name, text in (("pushrod.lua", config), ("rules/a.lua", rules)):
        with open(os.path.join(home, name), "w", encoding="utf-8") as f:
            f.write(text)
    return home


def put(home, name, value):
    path = os.path.join(home, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(value if isinstance(value, str) else json.dumps(value))
    return path


def run(*args, stdin=None):
    p = subprocess.run([binary(), *args], capture_output=True, text=True, timeout=60, env=environment(), cwd="/", input=stdin)
    return p.returncode, p.stdout, p.stderr


def test_every_condition_is_told_also_behind_the_first_that_fails():
    home = site()
    body = put(home, "push.json", PUSH)
    code, out, err = run("explain", body, home, "--source", "github", "--event", "push")
    assert code == 3, (code, out, err)
    lines = out.splitlines()
    paths = next(line for line in lines if "paths" in line)
    assert "NO" in paths and '"docs/**"' in paths and '"src/x.c"' in paths and "rules/a.lua:1:" in paths, out
    nearest = next(line for line in lines if "pusher.nam" in line)
    assert "did you mean pusher.name?" in nearest, out
    assert any("branch" in line and 'want "dev", got "main"' in line for line in lines), out
    assert "does not listen to it: tags" in out, out


def test_a_rule_that_fires_is_exit_0_and_json_says_the_same():
    home = site()
    body = put(home, "push.json", dict(PUSH, commits=[{"added": ["docs/a.md"], "removed": [], "modified": []}]))
    code, out, _ = run("explain", body, home, "-s", "github", "-e", "push", "--json")
    said = json.loads(out)
    assert code == 0 and said["match"] == 1 and said["listen"] == 2, said
    assert {r["rule"]: r["result"] for r in said["explained"]} == {"docs": "yes", "dev": "no"}
    conditions = said["explained"][1]["conditions"]
    assert [c["name"] for c in conditions] == ["branch", "pusher.nam"] and all(c["result"] == "no" for c in conditions), conditions


def test_one_rule_alone_also_where_it_does_not_listen():
    home = site()
    body = put(home, "push.json", PUSH)
    code, out, _ = run("explain", body, home, "-s", "github", "-e", "push", "--rule", "tags")
    assert code == 3 and "does not listen" in out and "want tag, got github:push" in out and "docs" not in out, out
    code, out, err = run("explain", body, home, "-s", "github", "-e", "push", "--rule", "tgas")
    assert code == 5 and "did you mean 'tags'" in err, err


def test_fixtures_in_all_forms_and_from_standard_input():
    home = site()
    text = json.dumps(PUSH)
    base = {"fixture": 1, "source": "github", "headers": {"x-github-event": "push"}}
    for more in ({"payload": PUSH}, {"body": text}, {"body_base64": base64.b64encode(text.encode()).decode()},
                 {"payload": PUSH, "event": "push"}):
        code, out, err = run("explain", "-", home, stdin=json.dumps(dict(base, **more)))
        assert code == 3 and "2 rules listen to github:push" in out, (more, out, err)


def test_mistakes_of_a_fixture_are_said():
    home = site()
    good = {"fixture": 1, "source": "github", "event": "push", "payload": PUSH}
    for change, words in (({"fixture": 2}, "must be 1"), ({"sorce": "x"}, "did you mean 'source'"), ({"body": "x"}, "not 2"),
                          ({"payload": 3}, "an object or an array"), ({"headers": {"a": 1}}, "must be a string"),
                          ({"headers": {"a b": "x"}}, "no name of a header"), ({"headers": {"a": "x\ny"}}, "control byte"),
                          ({"source": "nobody"}, "there are github, lan"), ({"source": "gitlab"}, "did you mean 'github'"), ({"received_ms": "now"}, "milliseconds"),
                          ({"event": "tag", "headers": {"x-github-event": "push"}}, "its event is 'push', not 'tag'")):
        path = put(home, "f.json", dict(good, **change))
        code, _, err = run("explain", path, home)
        assert code == 1 and words in err and "f.json" in err, (change, err)
    code, _, err = run("explain", put(home, "f.json", PUSH), home)
    assert code == 1 and "which source" in err and "github, lan" in err, err
    code, _, err = run("explain", put(home, "f.json", "{ no json"), home, "-s", "github", "-e", "push")
    assert code == 1 and err, err
    code, _, err = run("explain", os.path.join(home, "nothing"), home)
    assert code == 1 and "nothing" in err, err
    assert run("explain")[0] == 2
    assert run("explain", "x", home, "--header", "no colon")[0] in (1, 2)


def rule(branch, name="main"):
    return f'rule "{name}" {{ on = "push", when = {{ branch = "{branch}" }}, steps = {{ {{ "a", sh = "true" }} }} }}\n'


def test_a_stored_delivery_is_judged_by_the_rules_in_force_of_then_or_of_a_directory():
    s = Server({"rules/a.lua": rule("dev")})
    delivery = s.push(Repository())["delivery"]
    code, out, err = s.cli("explain", str(delivery))
    assert code == 3 and 'want "dev", got "main"' in out and "in force, which are those of then" in err, (code, out, err)
    edited = site(rule("main"))
    code, out, err = s.cli("explain", str(delivery), edited)
    assert code == 0 and "1 matches" in out, (code, out, err)
    assert s.cli("explain", "99")[0] == 5
    assert json.loads(s.cli("explain", str(delivery), "--json")[1])["match"] == 0
    code, _, err = s.cli("explain", str(delivery), "--event", "push")
    assert code == 2 and "of a delivery it is known" in err, err
    code, _, err = s.cli("explain", str(delivery), edited, "--then")
    assert code == 2 and "without a directory" in err, err

    before = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/a.lua", rule("main") + rule("dev", "second"))
    wait("the new rules are in force", lambda: s.get("/api/v1/rules")["ruleset"] != before)
    code, out, err = s.cli("explain", str(delivery))
    assert code == 0 and "1 matches" in out and "--then asks those of then" in err, (code, out, err)
    code, out, err = s.cli("explain", str(delivery), "--then")
    assert code == 3 and 'want "dev", got "main"' in out and "second" not in out and "no longer in force" in err, (code, out, err)
    code, out, err = s.cli("explain", str(delivery), "--rule", "second", "--json")
    assert code == 3 and [r["rule"] for r in json.loads(out)["explained"]] == ["second"], (code, out, err)
    code, _, err = s.cli("explain", str(delivery), "--rule", "secnd")
    assert code == 5 and "did you mean 'second'" in err, err
    said = json.loads(s.cli("explain", str(delivery), "--then", "--json")[1])
    assert said["ruleset"] == said["then"] == before and said["in_force"] is False and said["delivery"] == delivery, said
    os.unlink(os.path.join(s.state, "rulesets", before))
    code, _, err = s.cli("explain", str(delivery), "--then")
    assert code == 5 and "the rules of then cannot be had any more" in err, (code, err)


def explained(s, delivery, query=""):
    status, _, body = s.request("POST", f"/api/v1/deliveries/{delivery}/explain{query}")
    assert status == 200, (status, body)
    return json.loads(body)


def test_what_no_sender_brought_is_explained_too():
    s = Server({"rules/a.lua": '''
local f = function(job) if job.event.event == "push" then job:emit("built", { version = "1.2" }) end end
rule "build" { on = "push", when = "always", run = f }
rule "ship"  { on = "local:built", when = { payload = { version = "2.*" } }, run = f }
rule "after" { on = "rule:succeeded", when = { rule = "build", branch = "dev" }, run = f }
rule "each"  { on = "job:succeeded", when = { rule = "build", branch = "main" }, run = f }
rule "hand"  { on = "tag", when = { tag = "v*" }, filter = function(event) return false, "no" end, run = f }
'''})
    s.finished(s.push(Repository())["matched"][0]["job"])
    wait("three events from within", lambda: len([d for d in s.get("/api/v1/deliveries")["deliveries"] if not d["provider"]]) >= 3)
    inner = {d["source"]: d["id"] for d in s.get("/api/v1/deliveries")["deliveries"] if d["key"].split("-")[0] == "1"}
    said = {source: explained(s, number) for source, number in inner.items()}
    rules = {source: {r["rule"]: r for r in x["explained"]} for source, x in said.items()}
    assert set(rules) == {"local", "rule", "job"}, said
    ship = rules["local"]["ship"]["conditions"][0]
    assert (ship["want"], ship["got"], rules["local"]["ship"]["fires"]) == ('"2.*"', '"1.2"', False), said
    assert {c["name"]: c["result"] for c in rules["rule"]["after"]["conditions"]} == {"rule": "yes", "branch": "no"}, said
    assert rules["job"]["each"]["fires"] is True, said
    for source, number in inner.items():
        assert explained(s, number, "?ruleset=then")["explained"] == said[source]["explained"]
    code, out, err = s.cli("trigger", "hand", "--json")
    number = json.loads(out)["delivery"]
    hand = explained(s, number)["explained"]
    assert [r["rule"] for r in hand] == ["hand"] and hand[0]["only"] and hand[0]["fires"] and not hand[0]["conditions"], hand
    assert hand[0]["filter"] == {"line": 7, "col": 60, "text": "asked last, when the job starts"}, hand
    code, out, err = s.cli("explain", str(number))
    assert code == 0 and "this was meant for the rule" in out and "filter  asked last, when the job starts" in out and "rules/a.lua:7:60" in out, out
    before = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/a.lua", rule("main"))
    wait("the new rules are in force", lambda: s.get("/api/v1/rules")["ruleset"] != before)
    code, _, err = s.cli("explain", str(number))
    assert code == 1 and "meant for rule 'hand'" in err, (code, err)
    assert explained(s, number, "?ruleset=then")["explained"] == hand


def test_no_body_is_too_much_to_be_explained():
    s = Server({"pushrod.lua": CONFIG, "rules/a.lua": '''rule "r" { on = "lan:*", when = { payload = { ["a.b"] = "x", ["n"] = { gt = 5 }, ["list[].k"] = { re = "^(a+)+$" } } },
  steps = { { "a", sh = "true" } } }'''})
    bodies = [b'{"a":' * 60 + b"1" + b"}" * 60, b'{"a":{"b":"\xc3\xa9\\u0000\x7f"},"n":' + b"9" * 300 + b"}", b"[]", b"0", b'"\\ud800"',
              json.dumps({"list": [{"k": "a" * 30 + "!"}] * 2000}).encode(), json.dumps({"a": {"b": "x" * 300000}, "z": [[[1]]] * 50000}).encode(),
              json.dumps({"a": {"b": "y" * (20 << 20)}}).encode()]
    for body in bodies:
        status, answer = s.deliver(body, source="lan", secret=None, event="push")
        if status != 202:
            continue
        for query in ("", "?ruleset=then", "?text=1&colour=1"):
            status, _, said = s.request("POST", f"/api/v1/deliveries/{answer['delivery']}/explain{query}")
            assert status == 200 and len(said) < 8192, (body[:100], query, status, said[:300])
    assert len(s.get("/api/v1/deliveries")["deliveries"]) >= 4
    status, answer = s.deliver(b"payload=%7B%22n%22%3A9%7D", source="lan", secret=None, kind="application/x-www-form-urlencoded")
    if status == 202:
        assert s.request("POST", f"/api/v1/deliveries/{answer['delivery']}/explain")[0] == 200


def test_no_more_are_explained_at_once_than_there_is_room_for():
    s = Server({"pushrod.lua": CONFIG, "rules/a.lua": 'rule "r" { on = "lan:*", when = { payload = { a = "x" } }, steps = { { "a", sh = "true" } } }'})
    status, answer = s.deliver(json.dumps({"a": "y" * (20 << 20)}).encode(), source="lan", secret=None)
    assert status == 202, answer
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        said = list(pool.map(lambda _: s.request("POST", f"/api/v1/deliveries/{answer['delivery']}/explain"), range(40)))
    assert {status for status, _, _ in said} == {200, 503}, [status for status, _, _ in said]
    assert all(headers["retry-after"] == "2" for status, headers, _ in said if status == 503)
    assert s.request("POST", f"/api/v1/deliveries/{answer['delivery']}/explain")[0] == 200, "a place was not given back"
