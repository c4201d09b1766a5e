"""Rule files: mistakes are found all at once, and a bad file never replaces a good one."""
import json
import os
import signal

from lib import Repository, Server, Stream, wait

ASAN_TOO = True

GOOD = 'rule "one" { on = "push", when = { branch = "main" }, run = function(job) job:log("%s") end }\n'


def test_check_finds_all_mistakes_with_place_and_caret():
    s = Server({"rules/a.lua": GOOD % "x"}, start=False)
    assert s.cli("check", s.site)[0] == 0
    s.write("rules/bad.lua", '''rule "typo" {
  on = "psuh",
  when = { brunch = "main" },
  timout = "5m",
  steps = { { "x", sh = "true" } },
}
rule "twice" { on = "push", on = "tag", when = "always", run = function(job) end }
rule "undefined" { on = "push", when = { branch = mian }, run = function(job) end }
rule "number" { on = "push", when = "always", timeout = 5, run = function(job) end }
rule "nils" { on = "push", when = { branch = nil }, run = function(job) end }
''')
    code, out, err = s.cli("check", s.site)
    text = out + err
    assert code == 1, text
    for want in ("rules/bad.lua:4:3: error:", "timout", "did you mean 'timeout'", "brunch", "did you mean 'branch'", "psuh", "did you mean 'push'",
                 "rules/bad.lua:7:", "mian", "rules/bad.lua:9:", "rules/bad.lua:10:", "^"):
        assert want in text, (want, text)
    code, out, _ = s.cli("check", s.site, "--json")
    assert code == 1 and len(json.loads(out)["diagnostics"] if isinstance(json.loads(out), dict) else json.loads(out)) >= 6, out
    s.write("rules/bad.lua", 'rule "open" { on = "push",\n  when = "always"\n  run = function(job) end }\n')
    code, out, err = s.cli("check", s.site)
    assert code == 1 and "rules/bad.lua" in out + err, out + err


def test_a_rule_that_lua_cannot_read_and_one_without_a_name_hide_no_other():
    s = Server({"rules/bad.lua": '''rule "open" { on = "push", when = "always", run = function(job) job:sh( end }
rule { on = "psuh", when = "always", run = function(job) end }
rule "typo" { on = "push", when = "always", timout = "5m", run = function(job) end }
'''}, start=False)
    code, out, err = s.cli("check", s.site)
    text = out + err
    for want in ("rules/bad.lua:1:73: error: unexpected symbol near 'end'", "rules/bad.lua:2:1: error: a rule begins with its name", "rules/bad.lua:2:13: error: unknown event 'psuh'",
                 "rules/bad.lua:3:45: error: unknown rule key 'timout'", "4 errors"):
        assert code == 1 and want in text, (want, text)


def test_serve_does_not_start_on_a_bad_file_and_says_why():
    s = Server({"rules/bad.lua": "rule \"x\" { om = \"push\" }"}, start=False)
    s.start(expect=False)
    assert s.process.wait(20) == 1
    assert "rules/bad.lua:1" in s.log() and "om" in s.log(), s.log()


def test_a_changed_file_is_taken_up_and_a_bad_one_is_not():
    s = Server({"rules/a.lua": GOOD % "old"})
    repo = Repository()
    before = s.get("/api/v1/rules")
    s.write("rules/a.lua", GOOD % "new")
    wait("the new rules are in force", lambda: s.get("/api/v1/rules")["ruleset"] != before["ruleset"])
    job = s.push(repo)["matched"][0]["job"]
    s.finished(job)
    assert s.lines(job) == ["new"]
    good = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/b.lua", 'rule "two" { on = "rule:failed", when = "always", steps = { { "x", sh = "true" } } }\n')     # a warning, W119
    wait("the warning is no mistake", lambda: s.get("/api/v1/rules")["ruleset"] != good)
    good = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/a.lua", "rule \"one\" { on = ")
    wait("the mistake is told", lambda: s.get("/api/v1/rules")["error"])
    assert s.get("/api/v1/rules")["ruleset"] == good
    assert "rules/a.lua" in s.get("/api/v1/rules")["error"]
    told = s.cli("status")[1]
    assert "the rule files on disk are not in force" in told and "rules/a.lua" in told, told
    assert "warning" not in told, "what was wrong before is no reason"
    job = s.push(repo)["matched"][0]["job"]
    s.finished(job)
    assert s.lines(job) == ["new"], "the old set stays in force"
    s.write("rules/a.lua", GOOD % "newest")
    s.process.send_signal(signal.SIGHUP)
    wait("the mistake is mended", lambda: not s.get("/api/v1/rules")["error"] and s.get("/api/v1/rules")["ruleset"] != good)
    assert "not in force" not in s.cli("status")[1] and s.get("/api/v1/status")["rules_error"] is None


def test_a_running_job_keeps_the_text_that_matched_it():
    s = Server({"rules/a.lua": '''rule "one" { on = "push", when = "always", run = function(job)
      job:log("old"); job:sh("sleep 1"); job:log("still old") end }'''})
    repo = Repository()
    first = s.push(repo)["matched"][0]["job"]
    second = s.push(repo)["matched"][0]["job"]
    before = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/a.lua", 'rule "one" { on = "push", when = "always", run = function(job) job:log("new") end }')
    wait("reload", lambda: s.get("/api/v1/rules")["ruleset"] != before)
    s.finished(first)
    s.finished(second)
    assert s.lines(first)[:1] == ["old"] and "still old" in s.lines(first)
    assert "old" in s.lines(second), "it was matched by the old text"


def test_when_lists_globs_except_any_all_none_and_payload():
    s = Server({"rules/w.lua": '''
local f = function(job) end
rule "list" { on = "push", when = { branch = { "dev", "main" } }, run = f }
rule "glob" { on = "push", when = { repo = "acme/*", paths = { "docs/**", except = "docs/drafts/**" } }, run = f }
rule "except" { on = "push", when = { branch = { except = "main" } }, run = f }
rule "any" { on = "push", when = { any = { { branch = "x" }, { sender = "ada" } } }, run = f }
rule "none" { on = "push", when = { none = { { message = { has = "[skip ci]" } } } }, run = f }
rule "payload" { on = "push", when = { payload = { ["repository.id"] = { ge = 35129377, lt = 35129378 }, ["repository.private"] = false, ["commits[].added"] = { exists = true } } }, run = f }
rule "coerce" { on = "push", when = { payload = { ["repository.id"] = "35129377" } }, run = f }
rule "native" { on = "github:push", when = "always", run = f }
rule "tag" { on = "tag", when = { tag = "v*" }, run = f }
'''})
    repo = Repository({"docs/a.md": "x"})
    answer = s.push(repo)
    assert {m["rule"] for m in answer["matched"]} == {"list", "glob", "any", "none", "payload", "native"}, answer
    because = {n["rule"]: n["because"] for n in answer["not_matched"]}
    assert set(because) == {"except", "coerce"}, because
    assert "35129377" in because["coerce"], because
    repo.commit({"docs/drafts/b.md": "x"}, "draft [skip ci]")
    answer = s.push(repo)
    assert {m["rule"] for m in answer["matched"]} == {"list", "any", "payload", "native"}, answer
    from lib import git
    git(repo.path, "tag", "v1.0")
    answer = s.push(repo, "--ref", "refs/tags/v1.0")
    assert {m["rule"] for m in answer["matched"]} >= {"tag"}, answer
    assert "list" not in {m["rule"] for m in answer["matched"]}, "a tag is no push to a branch"


def test_env_templates_reach_the_step_only_through_the_environment():
    s = Server({"rules/e.lua": '''rule "e" { on = "push", when = "always", env = { TITLE = "{title}", WHO = "by {sender} {{x}" },
      steps = { { "say", sh = 'printf "%s|%s\\\\n" "$TITLE" "$WHO"' } } }'''})
    repo = Repository()
    repo.commit({"x": "y"}, 'evil $(touch /tmp/pwned) `id` "quotes" \'too\'')
    job = s.push(repo)["matched"][0]["job"]
    s.finished(job)
    assert s.lines(job)[-1] == 'evil $(touch /tmp/pwned) `id` "quotes" \'too\'|by ada {x}', s.lines(job)


def test_check_finds_secrets_that_are_nowhere_unless_told_not_to_look():
    s = Server({"rules/a.lua": 'rule "one" { on = "push", when = "always",\n  secrets = { "npm-token", "here" }, run = function(job) end }\n'}, start=False)
    s.write("secrets/here", "x")
    os.chmod(os.path.join(s.site, "secrets/here"), 0o600)
    code, out, err = s.cli("check", s.site)
    assert code == 1 and "rules/a.lua:2:15: error: secret 'npm-token' is nowhere" in err and "'here'" not in err, err
    assert s.cli("check", s.site, "--without-secrets")[0] == 0
    os.chmod(os.path.join(s.site, "secrets/here"), 0o644)
    code, _, err = s.cli("check", s.site)
    assert code == 1 and "rules/a.lua:2:28: error: secret 'here': others may read" in err, err


def test_check_warns_of_one_name_in_two_files_and_refuses_it_in_one():
    s = Server({"rules/a.lua": GOOD % "a", "rules/b.lua": GOOD % "b"}, start=False)
    code, out, err = s.cli("check", s.site)
    assert code == 0 and "rules/b.lua:1:1: warning: there is a rule 'one' in rules/a.lua too, at line 1" in err, err
    s.write("rules/b.lua", GOOD % "b" + GOOD % "c")
    code, out, err = s.cli("check", s.site)
    assert code == 1 and "rules/b.lua:2:1: error: there is a rule 'one' already, at line 1" in err, err


def test_check_speaks_githubs_and_json():
    s = Server({"rules/a.lua": 'rule "one" { on = "push", when = "always", timout = "5%",\n run = function(job) end }\n'}, start=False)
    code, out, err = s.cli("check", s.site, "--format", "github")
    assert code == 1 and out == "::error file=rules/a.lua,line=1,col=44::unknown rule key 'timout', did you mean 'timeout'?\n", (out, err)
    code, out, _ = s.cli("check", s.site, "--format", "json")
    d = json.loads(out)
    assert code == 1 and d["ok"] is False and d["diagnostics"] == [{
        "severity": "error", "file": "rules/a.lua", "line": 1, "col": 44, "end_col": 50, "code": "E101",
        "text": "unknown rule key 'timout', did you mean 'timeout'?", "source_line": 'rule "one" { on = "push", when = "always", timout = "5%",'}], d


def test_a_template_whose_field_an_event_can_lack_is_an_error():
    rule = 'rule "%s" { on = %s, when = "always", env = { X = "{%s}" }, steps = { { "x", sh = "true" } } }\n'
    cases = (("a", '"push"', "branch", None), ("b", '"pull_request"', "number", None), ("c", '"push"', "number", "{number} is never there on 'push'"),
             ("d", '{ "push", "pull_request" }', "base", "{base} is never there on 'push'"),
             ("e", '"comment"', "number", "{number} is not there on every 'comment': commit_comment of 'github' has none"),
             ("f", '"github:*"', "branch", "{branch} is not there on every 'github:*'"), ("g", '"github:*"', "sender", None),
             ("h", '"push"', "titel", "{titel} is no field of an event, did you mean 'title'?"))
    s = Server({"rules/t.lua": "".join(rule % c[:3] for c in cases)}, start=False)
    code, out, err = s.cli("check", s.site)
    assert code == 1, err
    for n, (_, _, field, want) in enumerate(cases, 1):
        said = [line for line in err.splitlines() if line.startswith(f"rules/t.lua:{n}:")]
        assert (want in said[0] if want else not said), (want, said, err)


def test_a_source_that_nothing_listens_to_says_so_everywhere():
    s = Server({"pushrod.lua": '''config { listen = { "127.0.0.1:0" } }
source "github" { provider = "github", secret = secret "github" }
source "lan" { auth = "none" }
source "pay" { provider = "stripe", secret = secret "github" }
''', "rules/a.lua": '''rule "docs" { on = "push", when = { branch = "main" }, run = function(job) end }
rule "off" { enabled = false, on = "lan:*", when = "always", run = function(job) end }
'''})
    assert s.get("/api/v1/status")["silent_sources"] == ["lan", "pay"]
    assert {x["name"]: x["heard"] for x in s.get("/api/v1/rules")["sources"]} == {"github": True, "lan": False, "pay": False}
    told = s.cli("status")[1]
    assert "no rule listens to source 'lan'" in told and "no rule listens to source 'pay'" in told and "'github'" not in told, told
    code, out, err = s.cli("check", s.site, "--without-secrets")
    assert code == 0 and "pushrod.lua:3:1: warning: no rule listens to source 'lan'" in err and "pushrod.lua:4:1: warning:" in err, err
    assert "W137" in err and err.count("no rule listens") == 2, err
    answer = json.loads(s.request("POST", "/hooks/lan", b"{}", {"Content-Type": "application/json"})[2])
    assert answer["note"] == "no rule listens to this source", answer
    answer = s.deliver(b'{"zen":"x"}', event="ping")[1]
    assert answer["note"] == "no rule listens to this event", answer
    before = s.get("/api/v1/rules")["ruleset"]
    s.write("rules/b.lua", 'rule "any" { on = { "lan:*", "payment.failed" }, when = "always", run = function(job) end }')
    wait("reload", lambda: s.get("/api/v1/rules")["ruleset"] != before)
    assert s.get("/api/v1/status")["silent_sources"] == []
    code, out, err = s.cli("check", s.site, "--without-secrets")
    assert code == 0 and "no rule listens" not in err, err


def test_reload_waits_and_says_what_came_into_force_or_what_is_wrong():
    one = 'rule "docs" { on = "push", when = { branch = "main" }, run = function(job) end }\n'
    s = Server({"rules/a.lua": one}, args=("--no-watch",))
    code, out, err = s.cli("reload")
    assert code == 0 and out.startswith("in force: 1 rule, 1 source (") and out.endswith("), as before\n"), (code, out, err)
    s.write("rules/b.lua", one.replace("docs", "site"))
    s.write("rules/a.lua", one.replace("docs", "dev"))
    assert len(s.get("/api/v1/rules")["rules"]) == 1, "nobody watches"
    code, out, err = s.cli("reload")
    assert code == 0 and out.startswith("in force: 2 rules, 1 source ("), (code, out, err)
    assert [line.split(" ", 2)[2] for line in out.splitlines()[1:]] == [
        "new:  rule 'dev' (rules/a.lua)", "new:  rule 'site' (rules/b.lua)", "gone: rule 'docs' (rules/a.lua)"], out
    s.write("rules/b.lua", one.replace("branch", "bransh"))
    code, out, err = s.cli("reload")
    assert code == 1 and not out and "not in force" in err and "rules/b.lua:1:" in err and "did you mean 'branch'" in err, (code, out, err)
    code, out, err = s.cli("reload", "--json")
    said = json.loads(out)
    assert code == 1 and said["in_force"] is False and said["rules"] == 2 and "bransh" in said["error"] and not said["changed"], said
    s.write("rules/b.lua", one.replace("docs", "site"))
    code, out, err = s.cli("reload", "--json")
    assert code == 0 and json.loads(out)["in_force"] is True and json.loads(out)["error"] is None, (code, out, err)
    s.stop()
    assert s.cli("reload")[0] == 4
