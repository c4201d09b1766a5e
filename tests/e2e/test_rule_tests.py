"""pushrod test: fixtures beside the rules, and a rehearsal that does nothing."""
import glob
import json
import os
import shutil
import xml.etree.ElementTree

from lib import ROOT, Repository, Server, folder
from test_explain import PUSH, put, run, site

ASAN_TOO = True
CONFIG = 'config { listen = { { "127.0.0.1:0", serve = { "hooks", "pages" } } }, jobs = { roots = { "www" } } }\n' \
         'source "github" { provider = "github", secret = secret "github" }\n'


def a_site(rules, expect=None, **more):
    home = site(rules, CONFIG)
    os.makedirs(os.path.join(home, "tests"))
    put(home, "tests/push.json", dict({"fixture": 1, "event": "push", "payload": PUSH}, **more))
    if expect is not None:
        put(home, "tests/push.expect.json", expect)
    return home


def body(text):
    return 'rule "a" { on = "push", when = "always", secrets = { "tok" }, run = function(job)\n' + text + '\nend }\n'


def effects(home, rule="a"):
    code, out, err = run("test", home, "--update")
    assert code == 0, (out, err)
    with open(os.path.join(home, "tests/push.expect.json"), encoding="utf-8") as f:
        return json.load(f)["effects"][rule]


def test_the_examples_pass_their_own_tests():
    tried = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "examples/*/pushrod.lua"))):
        code, out, err = run("test", os.path.dirname(path))
        assert code == 0 and out.splitlines()[-1].endswith(" passed, 0 failed"), (path, out, err)
        tried += 1
    assert tried >= 2


def test_a_rule_that_no_longer_fires_is_told_with_its_reason():
    home = os.path.join(folder(), "site")
    shutil.copytree(os.path.join(ROOT, "examples/docs-sync"), home)
    path = os.path.join(home, "rules/docs.lua")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    put(home, "rules/docs.lua", text.replace('branch = "main"', 'branch = "trunk"'))
    code, out, _ = run("test", home)
    assert code == 1 and '- docs does not fire: branch: want "trunk", got "main"' in out and "1 passed, 2 failed" in out, out


def test_a_changed_effect_is_shown_as_a_difference():
    home = a_site(body('job:exec { "make", "all" }\njob:log("done")'))
    effects(home)
    put(home, "rules/a.lua", body('job:exec { "make", "check" }\njob:log("done")'))
    code, out, _ = run("test", home)
    assert code == 1 and '-       "all"' in out and '+       "check"' in out and "done" not in out.split("+       ")[1].splitlines()[0], out
    put(home, "rules/a.lua", body('job:exec { "make", "all" }\njob:log("done")'))
    assert run("test", home)[0] == 0


def test_a_test_can_say_for_whom_a_job_waits():
    rules = """rule "a" { on = "push", when = "always", queue = { key = "{repo} {branch}", busy = "latest" }, run = function(job) end }
rule "b" { on = "push", when = "always", queue = "production", run = function(job) end }
rule "c" { on = "push", when = "always", matrix = { cc = { "gcc", "clang" } }, queue = { key = "{matrix.cc} {ref}" }, run = function(job) end }
rule "d" { on = "push", when = "always", run = function(job) end }
"""
    want = {"a": {"key": "acme/handbook main"}, "b": {"name": "production"}, "c (cc=gcc)": {"key": "gcc refs/heads/main"},
            "c (cc=clang)": {"key": "clang refs/heads/main"}, "d": {"key": ""}}
    home = a_site(rules, {"queues": {}})
    put(home, "pushrod.lua", CONFIG + 'queue "production" { limit = 2 }\n')
    assert run("test", home, "--update")[0] == 0
    with open(os.path.join(home, "tests/push.expect.json"), encoding="utf-8") as f:
        assert json.load(f) == {"queues": want}
    code, out, err = run("test", home)
    assert code == 0, (out, err)
    put(home, "rules/a.lua", rules.replace("{repo} {branch}", "{repo} {ref}").replace('queue = "production", ', ""))
    code, out, _ = run("test", home)
    assert code == 1 and 'queue of a: want {"key": "acme/handbook main"}, got {"key": "acme/handbook refs/heads/main"}' in out, out
    assert 'queue of b: want {"name": "production"}, got {"key": ""}' in out and "queue of c" not in out, out


def test_what_the_expectation_leaves_out_is_not_looked_at():
    rules = body('job:log("x")') + 'rule "b" { on = "push", when = "always", steps = { { "s", sh = "true" } } }\n'
    home = a_site(rules, {"match": ["b", "a"]})
    assert run("test", home)[0] == 0
    put(home, "tests/push.expect.json", {"no_match": ["c"]})
    assert run("test", home)[0] == 0
    put(home, "tests/push.expect.json", {"no_match": ["b"]})
    code, out, _ = run("test", home)
    assert code == 1 and "+ b fires" in out and "+ a" not in out, out
    put(home, "tests/push.expect.json", {"match": ["a"]})
    code, out, _ = run("test", home)
    assert code == 1 and "+ b fires" in out, out
    put(home, "tests/push.expect.json", {"match": ["a", "b", "zz"]})
    code, out, _ = run("test", home)
    assert code == 1 and "- zz does not fire: there is no such rule" in out, out
    put(home, "tests/push.expect.json", {"match": ["a"], "effects": {"b": []}})
    code, out, _ = run("test", home, "--update")
    with open(os.path.join(home, "tests/push.expect.json"), encoding="utf-8") as f:
        assert json.load(f) == {"match": ["a", "b"], "effects": {"b": [{"sh": "true", "step": "s"}]}}


def test_a_rehearsal_does_nothing_and_tells_all():
    victim = os.path.join(folder(), "victim")
    home = a_site(body(f'''
  local dir = job:checkout {{ url = "https://u:p@example.org/x.git", ref = "main", into = "src" }}
  job:step("outer", function()
    local r = job:sh("touch {victim}", {{ env = {{ T = job.event.branch, S = job:secret "tok" }}, shell = "bash", capture = true }})
    job:log("%d %s", r.code, r.out)
  end)
  job:defer(function() job:exec {{ "touch", "{victim}", cwd = job:tmp(), stdin = "in" }} end)
  local release = job:publish(dir, "www/x")
  release:rollback()
  job:warn("almost")
  job:skip("enough")'''))
    assert effects(home) == [
        {"checkout": "https://example.org/x.git", "ref": "main", "into": "/workspace/src"},
        {"sh": f"touch {victim}", "shell": "bash", "env": {"T": "main", "S": "(secret tok)"}, "step": "outer"} | {},
        {"log": "0 ", "step": "outer"},
        {"publish": "/workspace/src", "to": "www/x"},
        {"rollback": "www/x"},
        {"warn": "almost"},
        {"exec": ["touch", victim], "cwd": "/workspace/tmp/new", "stdin": "in"},
        {"end": "skipped", "reason": "enough"}]
    assert not os.path.exists(victim) and not os.path.exists(os.path.join(home, "www"))


def test_answers_tell_a_rule_of_the_world():
    home = a_site(body('''
  local r = job:exec { "probe", capture = true, allow_failure = true }
  job:log("%d %s", r.code, r.out)
  job:sh("second")'''), {"effects": {}, "answers": {"a": {"exec": [{"code": 3, "out": "down"}], "sh": [{"code": 7}]}}})
    got = effects(home)
    assert got == [{"exec": ["probe"]}, {"log": "3 down"}, {"sh": "second"},
                             {"end": "failed", "reason": "rules/a.lua:5: exit 7: second"}], got


def test_mistakes_in_a_function_come_out():
    home = a_site(body('job:exec { "make", timeot = "5m" }'))
    last = effects(home)[-1]
    assert last["end"] == "failed" and "did you mean 'timeout'" in last["reason"] and "rules/a.lua:2" in last["reason"], last
    home = a_site(body('local x = nil; x.y = 1'))
    assert effects(home)[-1]["end"] == "failed"


def test_hostile_rules_end_within_their_bounds():
    home = a_site(body('for i = 1, 10000 do job:log("x") end'))
    assert len(effects(home)) == 10000
    home = a_site(body('for i = 1, 10001 do job:log("x") end'))
    assert effects(home)[-1] == {"end": "failed", "reason": "a rehearsal takes no more than 10000 effects"}
    home = a_site(body('local s = "x" while true do s = s .. s end'))
    assert "memory" in effects(home)[-1]["reason"]
    home = a_site(body('while true do end'), {"match": ["a"], "effects": {"a": []}})
    code, out, _ = run("test", home)
    assert code == 1 and "still running after 9 seconds" in out, out


def test_formats():
    home = a_site(body('job:log("x")'), {"match": ["a"]})
    put(home, "tests/other.json", {"fixture": 1, "event": "push", "payload": PUSH})
    put(home, "tests/other.expect.json", {"match": ["<b>"]})
    code, out, _ = run("test", home, "--json")
    said = json.loads(out)
    assert code == 1 and said["passed"] == 1 and said["failed"] == 1 and [t["test"] for t in said["tests"]] == ["other", "push"], said
    code, out, _ = run("test", home, "--format", "tap")
    assert code == 1 and out.splitlines()[1] == "1..2" and "not ok 1 - other" in out and "ok 2 - push" in out, out
    code, out, _ = run("test", home, "--format", "junit")
    tree = xml.etree.ElementTree.fromstring(out.split("\n", 1)[1])
    assert code == 1 and tree.attrib["tests"] == "2" and len(tree.findall("testcase/failure")) == 1
    assert "<b>" in tree.find("testcase/failure").text
    code, out, _ = run("test", home, "--format", "github")
    assert code == 1 and f"::error file={home}/tests/other.json,title=pushrod test other::" in out, out
    assert run("test", home, "--only", "push")[0] == 0
    assert run("test", home, "--format", "xml")[0] == 2


def test_mistakes_in_tests_are_said():
    home = a_site(body('job:log("x")'), {"mach": ["a"]})
    code, out, _ = run("test", home)
    assert code == 1 and 'did you mean "match"' in out, out
    put(home, "tests/push.expect.json", "{ no")
    code, out, _ = run("test", home)
    assert code == 1 and "push.expect.json: line 1" in out, out
    put(home, "tests/push.json", {"fixture": 1, "event": "push", "payload": PUSH, "x": 1})
    code, out, _ = run("test", home)
    assert code == 1, out
    code, _, err = run("test", site('rule "a" {}\n', CONFIG))
    assert code == 1 and "rules/a.lua:1" in err, err
    code, _, err = run("test", site(body('job:log("x")'), CONFIG))
    assert code == 1 and "no test in" in err, err


def test_each_cell_of_a_matrix_is_rehearsed():
    rules = '''rule "a" { on = "push", when = "always", matrix = { { part = "x" }, { part = "y", when = { branch = "dev" } }, { part = "z" } },
  env = { PART = "{matrix.part}" }, steps = { { "s", sh = "true" } } }
'''
    home = a_site(rules)
    assert run("test", home, "--update")[0] == 0
    path = os.path.join(home, "tests/push.expect.json")
    with open(path, encoding="utf-8") as f:
        expect = json.load(f)
    assert list(expect["effects"]) == ["a (part=x)", "a (part=z)"] and expect["effects"]["a (part=z)"][0] == {"env": {"PART": "z"}}, expect
    del expect["effects"]["a (part=z)"]
    put(home, "tests/push.expect.json", expect)
    code, out, _ = run("test", home)
    assert code == 1 and "+ a (part=z) fires" in out, out


def test_a_filter_is_asked_too():
    rules = '''rule "a" { on = "push", when = "always", filter = function(event) return event.branch == "dev", "not the branch" end,
  run = function(job) job:log("x") end }
'''
    home = a_site(rules)
    assert effects(home) == [{"end": "skipped", "reason": "not the branch"}]


def test_a_stored_delivery_becomes_a_test():
    s = Server({"rules/a.lua": body('job:log("%s", job.event.branch)')})
    body_sent = Repository().push_body()
    status, answer = s.deliver(body_sent)
    assert status == 202
    code, out, err = s.cli("test", s.site, "--save", str(answer["delivery"]), "--name", "pushes/main")
    assert code == 0 and "ok   pushes/main (expectation written)" in out, (code, out, err)
    with open(os.path.join(s.site, "tests/pushes/main.json"), "rb") as f:
        assert body_sent.strip() in f.read()
    with open(os.path.join(s.site, "tests/pushes/main.expect.json"), encoding="utf-8") as f:
        assert json.load(f) == {"match": ["a"], "effects": {"a": [{"log": "main"}]}}
    assert s.cli("test", s.site)[0] == 0
    code, _, err = s.cli("test", s.site, "--save", "1", "--name", "pushes/main")
    assert code == 1 and "there already" in err, err
    assert s.cli("test", s.site, "--save", "99")[0] == 5
    assert s.cli("test", s.site, "--save", "1", "--name", "../x")[0] == 2
