"""pushrod rules: a directory's rules listed, shown and drawn, and all of it as JSON that fits the JSON Schema."""
import json
import os
import re

from lib import ROOT, Server

ASAN_TOO = True
RULES = {"rules/a.lua": '''-- about docs
rule "docs" {
  on = { "push", "github:release.published" },
  when = { branch = { "main", "release/*", except = "release/old" }, none = { { message = { has = "[skip ci]" } } } },
  env = { TITLE = "{repo}" }, timeout = "5m", secrets = { "npm-token" },
  steps = { { "build", sh = "make", env = { CC = "gcc" } }, { exec = { "make", "test" }, allow_failure = true } },
}

-- about lint
rule "lint" { on = "push", when = "always", run = function(job) end }
''', "rules/b.lua": 'rule "lint" { on = "tag", when = { { tag = "v*" }, { payload = { ["a.b"] = { ge = 1, lt = 2.5 } } } }, run = function(job) end }\n'}


def fits(schema, value, root, at="$"):
    """What of JSON Schema the reference uses. Yields where VALUE does not fit."""
    if schema is True:
        return
    known = {"$ref", "type", "const", "enum", "anyOf", "allOf", "properties", "additionalProperties", "propertyNames", "required", "items", "minItems",
             "minLength", "maxLength", "maxItems", "minimum", "maximum", "pattern", "minProperties", "description", "title", "$schema", "$defs"}
    assert set(schema) <= known, set(schema) - known
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int, "number": (int, float)}
    if "$ref" in schema:
        yield from fits(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root, at)
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(isinstance(value, kinds[t]) and (t == "boolean" or not isinstance(value, bool)) for t in types):
            yield f"{at}: {value!r} is no {types}"
            return
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r}"
    if "anyOf" in schema and all(list(fits(s, value, root, at)) for s in schema["anyOf"]):
        yield f"{at}: {value!r} fits none of {schema['anyOf']}"
    for s in schema.get("allOf", []):
        yield from fits(s, value, root, at)
    if isinstance(value, str) and ("pattern" in schema and not re.search(schema["pattern"], value) or not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))):
        yield f"{at}: {value!r} is not {schema.get('pattern')}"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: {value}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: too few"
        for n, item in enumerate(value):
            yield from fits(schema.get("items", True), item, root, f"{at}[{n}]")
    if isinstance(value, dict):
        for key in schema.get("required", []):
            if key not in value:
                yield f"{at}: no {key}"
        if len(value) < schema.get("minProperties", 0):
            yield f"{at}: too few"
        for key, item in value.items():
            yield from fits(schema.get("propertyNames", True), key, root, f"{at}.{key}")
            rest = schema.get("additionalProperties", True)
            if key not in schema.get("properties", {}) and rest is False:
                yield f"{at}: {key} is not known"
            elif rest is not False or key in schema["properties"]:
                yield from fits(schema.get("properties", {}).get(key, rest), item, root, f"{at}.{key}")


def test_rules_are_listed_and_shown_as_written():
    s = Server(RULES, start=False)
    code, out, err = s.cli("rules", s.site)
    assert code == 0 and out.splitlines() == ["docs  rules/a.lua:2   push, github:release.published", "lint  rules/a.lua:10  push",
                                              "lint  rules/b.lua:1   tag"], (out, err)
    code, out, _ = s.cli("rules", "show", "docs", s.site)
    assert code == 0 and out == "-- rules/a.lua:2\n" + RULES["rules/a.lua"].split("\n\n")[0].split("\n", 1)[1] + "\n", out
    code, out, _ = s.cli("rules", "show", "lint", s.site)
    assert code == 0 and out.count("rule \"lint\"") == 2 and "rules/b.lua:1" in out, out
    code, _, err = s.cli("rules", "show", "lnit", s.site)
    assert code == 5 and "did you mean 'lint'" in err, err
    assert [r["file"] for r in json.loads(s.cli("rules", "show", "lint", s.site, "--json")[1])["rules"]] == ["rules/a.lua", "rules/b.lua"]
    assert len(json.loads(s.cli("rules", s.site, "--json")[1])["rules"]) == 3
    s.write("rules/a.lua", "rule \"x\" {")
    code, _, err = s.cli("rules", s.site)
    assert code == 1 and f"pushrod check {s.site}" in err, err


def test_the_graph_leads_from_events_to_rules():
    s = Server(RULES, start=False)
    code, out, _ = s.cli("rules", s.site, "--graph")
    assert code == 0 and out.splitlines() == ["push", "  -> docs  rules/a.lua:2", "  -> lint  rules/a.lua:10", "github:release.published",
                                              "  -> docs  rules/a.lua:2", "tag", "  -> lint  rules/b.lua:1"], out
    code, out, _ = s.cli("rules", s.site, "--graph", "--format", "dot")
    assert code == 0 and out.startswith("digraph rules {") and '"on tag" -> "lint"' in out, out
    assert {"by": "tag", "to": "lint"} in json.loads(s.cli("rules", s.site, "--graph", "--json")[1])["edges"]
    assert s.cli("rules", s.site, "--graph", "--format", "svg")[0] == 2


def test_the_graph_follows_what_rules_cause():
    s = Server({"rules/a.lua": '''rule "build" { on = "push", when = "always", run = function(job) end }
rule "deploy" { on = "rule:succeeded", when = { rule = "build" }, run = function(job) job:emit("shipped", {}) end }
rule "tell" { on = "local:shipped", when = "always", run = function(job) end }
rule "alarm" { on = "job:failed", when = { rule = { "build", "dep*" } }, run = function(job) end }
rule "nightly" { cron = { "0 3 * * *", zone = "Europe/Berlin" }, run = function(job) end }
'''}, start=False)
    code, out, err = s.cli("rules", s.site, "--graph")
    assert code == 0 and out.splitlines() == [
        "push", "  -> build  rules/a.lua:1", "      -> deploy (rule:succeeded)  rules/a.lua:2", "          -> tell (local:shipped)  rules/a.lua:3",
        "          -> alarm (job:failed)  rules/a.lua:4", "      -> alarm (job:failed)  rules/a.lua:4", "cron 0 3 * * *", "  -> nightly  rules/a.lua:5"], (out, err)
    edges = json.loads(s.cli("rules", s.site, "--graph", "--json")[1])["edges"]
    assert {"from": "build", "by": "rule:succeeded", "to": "deploy"} in edges and {"from": "deploy", "by": "local:shipped", "to": "tell"} in edges, edges
    assert '"build" -> "deploy" [label="rule:succeeded"];' in s.cli("rules", s.site, "--graph", "--format", "dot")[1]
    assert "cron 0 3 * * *" in s.cli("rules", s.site)[1]
    s.write("rules/a.lua", 'rule "x" { on = "rule:finished", when = { rule = "x" }, run = function(job) end }\n')
    assert s.cli("rules", s.site, "--graph")[1].splitlines() == ["rule:finished", "  -> x  rules/a.lua:1", "      -> x (rule:finished)  rules/a.lua:1  … a loop"]


def test_queues_are_listed_and_drawn():
    s = Server({"rules/a.lua": '''rule "plain" { on = "push", when = "always", run = function(job) end }
rule "ci" { on = "push", when = "always", queue = { key = "{repo} {ref}", busy = "cancel", limit = 2, debounce = "3s" }, run = function(job) end }
rule "one" { on = "push", when = "always", queue = { busy = "skip" }, run = function(job) end }
rule "ship" { on = "tag", when = "always", queue = "production", run = function(job) end }
rule "move" { on = "rule:succeeded", when = { rule = "ship" }, queue = "production", run = function(job) end }
'''}, start=False)
    s.write("pushrod.lua", 'config { listen = { "127.0.0.1:0" } }\nsource "github" { provider = "github", secret = secret "github" }\nqueue "production" { limit = 1 }\n')
    code, out, err = s.cli("rules", s.site)
    assert code == 0 and out.splitlines() == [
        "plain  rules/a.lua:1  push", "ci     rules/a.lua:2  push  queue {repo} {ref} (cancel, limit 2, debounce 3s)", "one    rules/a.lua:3  push  queue (skip)",
        "ship   rules/a.lua:4  tag  queue production", "move   rules/a.lua:5  rule:succeeded  queue production"], (out, err)
    assert json.loads(s.cli("rules", "show", "ci", s.site, "--json")[1])["rules"][0]["queue"] == {
        "key": "{repo} {ref}", "limit": 2, "busy": "cancel", "debounce_ms": 3000, "max_wait_ms": 30000}
    out = s.cli("rules", s.site, "--graph")[1]
    assert "  -> ship  rules/a.lua:4  queue production\n      -> move (rule:succeeded)  rules/a.lua:5  queue production\n" in out, out
    dot = s.cli("rules", s.site, "--graph", "--format", "dot")[1]
    assert '"ship" -> "queue production" [dir=none' in dot and '"move" -> "queue production" [dir=none' in dot, dot
    assert json.loads(s.cli("rules", s.site, "--graph", "--json")[1])["queues"] == {"production": ["ship", "move"]}
    with open(os.path.join(ROOT, "docs/rules.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    declared = json.loads(s.cli("rules", "--declared", s.site)[1])
    assert declared["queue"] == {"production": {"limit": 1}} and declared["rule"]["ship"]["queue"] == "production", declared
    assert not list(fits(schema, declared, schema)), list(fits(schema, declared, schema))


def test_what_is_declared_fits_the_json_schema():
    with open(os.path.join(ROOT, "docs/rules.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    s = Server(RULES, start=False)
    s.write("pushrod.lua", '''config { url = "https://x", listen = { "127.0.0.1:0", { "127.0.0.1:1", serve = { "hooks" } } }, jobs = { max = 2, memory = "1GiB" } }
      source "github" { provider = "github", secret = { secret "a", { secret "b", not_after = "2026-12-01" } } }
      source "open" { auth = "none", path = "/open/x" }''')
    sites = [s.site] + [os.path.join(ROOT, "examples", d) for d in os.listdir(os.path.join(ROOT, "examples")) if os.path.isdir(os.path.join(ROOT, "examples", d, "rules"))]
    for site in sites:
        code, out, err = s.cli("rules", "--declared", site)
        assert code == 0, (site, err)
        assert not list(fits(schema, json.loads(out), schema)), (site, list(fits(schema, json.loads(out), schema)))
    d = json.loads(s.cli("rules", "--declared", s.site)[1])
    assert d["rule"]["docs"]["steps"][1] == {"exec": ["make", "test"], "allow_failure": True} and "rules/b.lua:lint" in d["rule"], d
    assert d["rule"]["docs"]["when"]["branch"] == {"list": ["main", "release/*"], "except": "release/old"}, d
    assert d["config"]["listen"][1] == {"address": "127.0.0.1:1", "serve": ["hooks"]}, d
    for wrong in ({"source": {"x": {"secret": "plain"}}}, {"rule": {"x": {"on": "push", "when": "always", "timout": "5m"}}}, {"config": {"jobs": {"max": 0}}},
                  {"rule": {"x": {"on": "push", "when": {"brunch": "main"}}}}, {"rule": {"x": {"on": "push", "when": "always", "timeout": 5}}}):
        assert list(fits(schema, wrong, schema)), wrong
