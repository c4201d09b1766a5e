"""pushrod import: the hooks file of adnanh/webhook, side by side with the original (Debian's package) on the same requests."""
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import socket
import subprocess
import urllib.parse

from lib import Server, folder, wait
from test_explain import put, run

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def match(source, name, value=None, regex=None):
    m = {"type": "regex" if regex is not None else "value", "parameter": {"source": source, "name": name}}
    m.update({"regex": regex} if regex is not None else {"value": value})
    return {"match": m}


def signed(kind, header, secret="s3cret"):
    return {"match": {"type": kind, "secret": secret, "parameter": {"source": "header", "name": header}}}


P = lambda name, value: match("payload", name, value)                                   # noqa: E731
R = lambda name, regex: match("payload", name, regex=regex)                             # noqa: E731
GITHUB = "X-Hub-Signature-256"
RULES = {
    # name: (trigger-rule or None, whether the import may say that it fires less often)
    "always": (None, False),
    "never": ({}, True),
    "text": (P("ref", "refs/heads/main"), False),
    "number": (P("n", "1"), False),
    "number-is-no-string": (P("n", 1), False),
    "fraction": (P("f", "1.5"), False),
    "bool": (P("yes", "true"), False),
    "null": (P("nil", "<nil>"), False),
    "star": (P("ref", "refs/heads/*"), False),
    "deep": (P("a.b.c", "x"), False),
    "index": (P("list.1.name", "second"), False),
    "regex": (R("ref", "^refs/heads/(main|dev)$"), False),
    "regex-open": (R("ref", "heads"), False),
    "regex-class": (R("tag", r"^v\d+\.\d+"), False),
    "regex-brackets": (R("tag", "[[:alpha:]][0-9]+"), False),
    "header": (match("header", "X-GitHub-Event", "push"), False),
    "header-regex": (match("header", "user-agent", regex="^GitHub"), False),
    "query": (match("url", "env", "staging"), False),
    "query-new-name": (match("query", "env", "staging"), False),
    "and": ({"and": [P("ref", "refs/heads/main"), P("n", "1")]}, False),
    "and-same-key": ({"and": [R("ref", "^refs"), R("ref", "main$")]}, False),
    "and-empty": ({"and": []}, False),
    "or": ({"or": [P("ref", "refs/heads/main"), P("n", "2")]}, False),
    "or-empty": ({"or": []}, True),
    "or-missing": ({"or": [P("missing", "x"), P("n", "1")]}, False),
    "not": ({"not": P("ref", "refs/heads/main")}, False),
    "not-missing": ({"not": P("missing", "x")}, False),
    "and-not": ({"and": [P("n", "1"), {"not": P("ref", "refs/heads/main")}]}, False),
    "and-not-missing": ({"and": [P("n", "1"), {"not": P("missing", "x")}]}, False),
    "or-not-missing": ({"or": [P("n", "7"), {"not": P("missing", "x")}]}, False),
    "not-and": ({"not": {"and": [P("n", "1"), P("ref", "refs/heads/main")]}}, False),
    "not-and-missing": ({"not": {"and": [P("n", "1"), P("missing", "x")]}}, False),
    "and-not-and": ({"and": [P("yes", "true"), {"not": {"and": [P("n", "1"), P("missing", "x")]}}]}, False),
    "and-not-or-missing": ({"and": [P("n", "1"), {"not": {"or": [P("missing", "x"), P("ref", "other")]}}]}, False),
    "not-not": ({"not": {"not": P("n", "1")}}, False),
    "two-ors": ({"and": [{"or": [P("n", "1"), P("n", "2")]}, {"or": [P("yes", "true"), P("ref", "x")]}]}, False),
    "unknown-type": ({"match": {"type": "magic", "parameter": {"source": "payload", "name": "n"}}}, True),
    "not-unknown-type": ({"not": {"match": {"type": "magic", "parameter": {"source": "payload", "name": "n"}}}}, False),
    "and-not-unknown-type": ({"and": [P("other", "1"), {"not": {"match": {"type": "magic", "parameter": {"source": "payload", "name": "n"}}}}]}, False),
    "not-without-a-parameter": ({"not": {"match": {"type": "magic", "value": "x"}}}, True),
    "string": ({"match": {"type": "value", "value": "a", "parameter": {"source": "string", "name": "a"}}}, False),
    "method": ({"match": {"type": "value", "value": "POST", "parameter": {"source": "request", "name": "METHOD"}}}, False),
    "hmac-sha1": (signed("payload-hmac-sha1", "X-Hub-Signature"), False),
    "hmac-sha256": (signed("payload-hmac-sha256", GITHUB), False),
    "hmac-sha512": (signed("payload-hmac-sha512", "X-Hub-Signature-512"), False),
    "hash-sha256": (signed("payload-hash-sha256", GITHUB), False),
    "bare-hmac": (signed("payload-hmac-sha256", "X-Gitea-Signature"), False),
    "signed-and": ({"and": [P("ref", "refs/heads/main"), signed("payload-hmac-sha256", GITHUB)]}, False),
    "two-secrets": ({"or": [signed("payload-hmac-sha256", GITHUB, "other"), signed("payload-hmac-sha256", GITHUB)]}, False),
    "two-secrets-soft": ({"or": [signed("payload-hmac-sha256", GITHUB, "other"), signed("payload-hmac-sha256", GITHUB)]}, False),
    "two-tokens": ({"or": [match("header", "X-Gitlab-Token", "old"), match("header", "X-Gitlab-Token", "t0ken")]}, False),
    "hmac-first-of-others": ({"or": [signed("payload-hmac-sha256", GITHUB), P("n", "1")]}, True),
    "hmac-first-of-others-soft": ({"or": [signed("payload-hmac-sha256", GITHUB), P("n", "1")]}, True),
    "hmac-among-others": ({"or": [P("n", "1"), signed("payload-hmac-sha256", GITHUB)]}, True),
    "not-hmac": ({"and": [P("n", "1"), {"not": signed("payload-hmac-sha256", GITHUB)}]}, True),
    "no-secret": (signed("payload-hmac-sha256", GITHUB, ""), True),
    "token": (match("header", "X-Gitlab-Token", "t0ken"), False),
    "token-and": ({"and": [match("header", "X-Gitlab-Token", "t0ken"), P("n", "1")]}, False),
    "token-in-query": ({"and": [match("url", "token", "t0ken"), P("n", "1")]}, False),
    "token-among-others": ({"or": [match("header", "X-Gitlab-Token", "t0ken"), P("n", "1")]}, True),
    "ip": ({"match": {"type": "ip-whitelist", "ip-range": "127.0.0.1/32"}}, True),
    "not-ip": ({"and": [P("n", "1"), {"not": {"match": {"type": "ip-whitelist", "ip-range": "10.0.0.0/8"}}}]}, True),
    "scalr": ({"match": {"type": "scalr-signature", "secret": "s"}}, True),
    "remote-addr": ({"match": {"type": "regex", "regex": "^127", "parameter": {"source": "request", "name": "remote-addr"}}}, True),
}
PUSH = {"ref": "refs/heads/main", "n": 1, "f": 1.5, "yes": True, "nil": None, "tag": "v1.2", "a": {"b": {"c": "x"}},
        "list": [{"name": "first"}, {"name": "second"}]}
BODIES = [PUSH, dict(PUSH, ref="refs/heads/dev"), dict(PUSH, ref="refs/heads/*"), dict(PUSH, n=2), dict(PUSH, n="1"), dict(PUSH, missing="x"),
          dict(PUSH, missing="y", n=7), dict(PUSH, yes="true", f="1.5", nil="<nil>", tag="release"), {"other": 1}, dict(PUSH, ref="x\n")]


def mac(kind, body, secret="s3cret"):
    return hmac.new(secret.encode(), body, getattr(hashlib, kind)).hexdigest()


def requests():
    """(path's query, headers, body)"""
    out = []
    for value in BODIES:
        body = json.dumps(value).encode()
        out.append(("", {"Content-Type": JSON}, body))
    body = json.dumps(PUSH).encode()
    for query in ("env=staging", "env=prod", "token=t0ken", "token=wrong", "env=sta%67ing"):
        out.append((query, {"Content-Type": JSON}, body))
    for headers in ({"X-GitHub-Event": "push", "User-Agent": "GitHub-Hookshot/1"}, {"X-GitHub-Event": "Push", "User-Agent": "x"},
                    {"X-Gitlab-Token": "t0ken"}, {"X-Gitlab-Token": "T0ken"}, {"X-Gitlab-Token": ""},
                    {"X-Hub-Signature": "sha1=" + mac("sha1", body)}, {"X-Hub-Signature": "sha1=" + mac("sha1", body, "x")},
                    {GITHUB: "sha256=" + mac("sha256", body)}, {GITHUB: "sha256=" + mac("sha256", body, "other")},
                    {GITHUB: "sha256=" + mac("sha256", body + b" ")}, {GITHUB: "sha1=00, sha256=" + "0" * 64},
                    {GITHUB: "sha1=00,sha256=" + mac("sha256", body)}, {GITHUB: "nonsense"},
                    {"X-Hub-Signature-512": "sha512=" + mac("sha512", body)}, {"X-Gitea-Signature": mac("sha256", body)},
                    {"X-Gitea-Signature": mac("sha256", body)[:-1] + "x"}):
        out.append(("", dict({"Content-Type": JSON}, **headers), body))
    out.append(("", {"Content-Type": FORM}, urllib.parse.urlencode({"ref": "refs/heads/main", "n": "1"}).encode()))
    out.append(("", {"Content-Type": FORM}, urllib.parse.urlencode({"ref": "refs/heads/dev", "missing": "x"}).encode()))
    return out


class Original:
    """Debian's webhook on a port of its own."""

    def __init__(self, hooks_path):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(["webhook", "-hooks", hooks_path, "-ip", "127.0.0.1", "-port", str(self.port), "-verbose"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait("webhook listens", self.is_up)

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def post(self, path, headers, body):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request("POST", path, body, headers)
            r = c.getresponse()
            return r.status, r.read().decode("utf-8", "replace")
        finally:
            c.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def imported(hooks, name="hooks.json", text=None):
    home = folder()
    path = put(home, name, text if text is not None else hooks)
    out = os.path.join(home, "site")
    code, said, notes = run("import", "adnanh", path, out)
    assert code == 0, (said, notes)
    return path, out, notes


def serve(site):
    """The directory as it was imported, but for the port."""
    with open(os.path.join(site, "pushrod.lua"), encoding="utf-8") as f:
        text = f.read()
    assert '{ "127.0.0.1:8787", serve = { "hooks", "pages" } } },\n}' in text
    s = Server(start=False)
    s.site = site
    s.write("pushrod.lua", text.replace('{ { "127.0.0.1:8787", serve = { "hooks", "pages" } } },\n}',
                                        '{ { "127.0.0.1:0", serve = { "hooks", "pages" } } },\n}'))
    return s.start()


def test_the_same_requests_fire_the_same_hooks():
    hooks = [{"id": name, "execute-command": "/bin/true", "response-message": "FIRED", "trigger-rule": rule} for name, (rule, _) in RULES.items()]
    for h in hooks:
        if h["trigger-rule"] is None:
            del h["trigger-rule"]
        if h["id"].endswith("-soft"):
            h["trigger-signature-soft-failures"] = True
    path, site, notes = imported(hooks)
    original, ours = Original(path), serve(site)
    compared = fired = less = 0
    try:
        for name, (_, may_be_less) in RULES.items():
            for query, headers, body in requests():
                target = f"/hooks/{name}" + (f"?{query}" if query else "")
                theirs = original.post(target, headers, body)[1] == "FIRED"
                status, _, answer = ours.request("POST", target, body, headers)
                mine = status == 202 and bool(json.loads(answer)["matched"])
                compared += 1
                fired += mine
                assert theirs or not mine, ("ours fires and the original does not", name, query, headers, body, answer)
                if mine != theirs:
                    less += 1
                    assert may_be_less, ("the original fires and ours does not", name, query, headers, body, status, answer)
    finally:
        original.stop()
    assert compared > 1500 and fired > 500, (compared, fired)
    for name, (_, may_be_less) in RULES.items():
        differs = re.search(f"^hook '{name}': (?!response-message)", notes, re.M)
        assert bool(differs) == may_be_less or name == "bare-hmac", (name, notes)


def test_arguments_environment_and_files_arrive_the_same():
    arguments = [{"source": "string", "name": "%s\\n"}] + [{"source": "payload", "name": n} for n in
                 ("ref", "n", "yes", "a.b.c", "list.1.name", "missing", "big")] + [
                 {"source": "header", "name": "x-kept"}, {"source": "request", "name": "method"}, {"source": "string", "name": "it's \"q\" $HOME"}]
    hooks = [{"id": "args", "execute-command": "printf", "pass-arguments-to-command": arguments},
             {"id": "env", "execute-command": "/usr/bin/env", "pass-environment-to-command": [
                 {"source": "payload", "name": "a.b.c"}, {"source": "payload", "name": "ref", "envname": "HOOK_MY"},
                 {"source": "payload", "name": "missing"}]},
             {"id": "file", "execute-command": "/bin/sh", "pass-arguments-to-command": [{"source": "string", "name": "-c"},
                 {"source": "string", "name": 'cat "$HOOK_BLOB" "$HOOK_A.B.C" 2>/dev/null; cat "$HOOK_BLOB"; echo'}],
              "pass-file-to-command": [{"source": "payload", "name": "blob", "envname": "HOOK_BLOB", "base64decode": True}]},
             {"id": "json", "execute-command": "printf", "parse-parameters-as-json": [{"source": "payload", "name": "payload"}],
              "pass-arguments-to-command": [{"source": "string", "name": "%s\\n"}, {"source": "payload", "name": "payload.ref"}],
              "trigger-rule": P("payload.ref", "refs/heads/main")}]
    for h in hooks:
        h["include-command-output-in-response"] = True
    path, site, _ = imported(hooks)
    original, ours = Original(path), serve(site)
    body = json.dumps(dict(PUSH, big=12345678901, blob="aGVsbG8=")).encode()
    form = urllib.parse.urlencode({"payload": json.dumps(PUSH)}).encode()
    try:
        for name, kind, sent in (("args", JSON, body), ("env", JSON, body), ("file", JSON, body), ("json", FORM, form)):
            headers = {"Content-Type": kind, "X-Kept": "kept"}
            theirs = original.post(f"/hooks/{name}", headers, sent)[1]
            status, _, answer = ours.request("POST", f"/hooks/{name}", sent, headers)
            assert status == 202, (name, status, answer)
            job = json.loads(answer)["matched"][0]["job"]
            mine = ours.lines(job)
            theirs = theirs.rstrip("\n").split("\n")
            if name == "env":
                theirs, mine = (sorted(line for line in lines if line.startswith("HOOK_")) for lines in (theirs, mine))
                assert theirs == ["HOOK_MY=refs/heads/main", "HOOK_a.b.c=x"], theirs
            assert mine == theirs, (name, mine, theirs)
    finally:
        original.stop()


def test_the_same_request_twice_fires_twice():
    _, site, _ = imported([{"id": "x", "execute-command": "/bin/true"}])
    ours = serve(site)
    answers = [json.loads(ours.request("POST", "/hooks/x", b"{}", {"Content-Type": JSON})[2]) for _ in range(2)]
    assert [len(a["matched"]) for a in answers] == [1, 1] and answers[0]["delivery"] != answers[1]["delivery"], answers


def test_yaml_is_read_as_the_original_reads_it():
    text = '''
- id: one
  execute-command: /bin/true
  trigger-rule: &rule
    match: { type: value, value: 1, parameter: { source: payload, name: n } }
- id: two
  execute-command: /bin/true
  trigger-rule:
    and:
    - *rule
    - match: { type: value, value: yes, parameter: { source: payload, name: "yes" } }
'''
    path, site, _ = imported(None, "hooks.yaml", text)
    original, ours = Original(path), serve(site)
    try:
        for value in (PUSH, {"n": 1}, {"n": "2"}, {"n": 1, "yes": "yes"}):
            body = json.dumps(value).encode()
            for name in ("one", "two"):
                theirs = original.post(f"/hooks/{name}", {"Content-Type": JSON}, body)[1] != "Hook rules were not satisfied."
                answer = json.loads(ours.request("POST", f"/hooks/{name}", body, {"Content-Type": JSON})[2])
                assert bool(answer["matched"]) == theirs, (name, value, answer)
    finally:
        original.stop()


def test_ids_that_are_no_names_keep_their_paths():
    hooks = [{"id": i, "execute-command": "/bin/true"} for i in ("deploy/web", "deploy-web", "cron", "x.y", "A" * 100, ".hidden", "a b")]
    _, site, notes = imported(hooks)
    assert "its path was /hooks/a b; it is /hooks/a-b here" in notes and "it is /hooks/-hidden here" in notes, notes
    ours = serve(site)
    for h in hooks:
        path = {".hidden": "-hidden", "a b": "a-b"}.get(h["id"], h["id"])
        status, _, answer = ours.request("POST", "/hooks/" + path, b"{}", {"Content-Type": JSON})
        assert status == 202 and len(json.loads(answer)["matched"]) == 1, (h["id"], status, answer)


def test_secrets_are_files_of_their_owner_and_nothing_is_written_over():
    path, site, _ = imported([{"id": "s", "execute-command": "/bin/true", "trigger-rule": signed("payload-hmac-sha256", GITHUB)}])
    secret = os.path.join(site, "secrets/s")
    assert os.stat(secret).st_mode & 0o777 == 0o600
    for name in ("pushrod.lua", "rules/s.lua", "plugins/providers/hook-s.lua"):
        with open(os.path.join(site, name), encoding="utf-8") as f:
            assert "s3cret" not in f.read(), name
    code, _, err = run("import", "adnanh", path, site)
    assert code == 1 and "not empty" in err, err


def test_mistakes_are_said():
    home = folder()
    for n, (text, words) in enumerate((("{", "hooks.json:1"), ("{}", "a list of hooks"), ("[]", "a list of hooks"), ('[{"id": 3}, {"id": "3"}]', "two hooks"),
                                       ("[{}]", "hook 1 has no id"), ('[{"id": "{{ getenv }}"} {{ x }}]', "template of Go"))):
        code, _, err = run("import", "adnanh", put(home, "hooks.json", text), os.path.join(home, f"o{n}"))
        assert code == 1 and words in err, (text, err)
    code, _, err = run("import", "adnanh", put(home, "x.yaml", "a: [b"), os.path.join(home, "y"))
    assert code == 1 and "line" in err, err
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n" for p, c in zip("abcdef", "bcdefg"))
    code, _, err = run("import", "adnanh", put(home, "x.yaml", bomb), os.path.join(home, "y"))
    assert code == 1 and "aliases" in err, err
    assert run("import", "github", "x", "y")[0] == 2
    assert run("import", "adnanh", "x")[0] == 2


NAMES = ["ref", "n", "yes", "missing", "a.b.c", "list.0.name", "other"]
VALUES = ["refs/heads/main", "1", "true", "x", "first", "2", ""]


def random_rule(r, depth=0):
    kind = r.choice(["and", "or", "not", "match", "match", "match"] if depth < 4 else ["match"])
    if kind in ("and", "or"):
        return {kind: [random_rule(r, depth + 1) for _ in range(r.randrange(4))]}
    if kind == "not":
        return {"not": random_rule(r, depth + 1)}
    if r.random() < 0.2:
        return R(r.choice(NAMES), r.choice(["^refs/", "main$", "^x$", "f.*t"]))
    return match(r.choice(["payload"] * 6 + ["url", "header"]), r.choice(NAMES), r.choice(VALUES))


def test_random_trees_of_conditions_fire_the_same():
    r = random.Random(3)
    hooks = [{"id": f"h{i}", "execute-command": "/bin/true", "response-message": "FIRED", "trigger-rule": random_rule(r)} for i in range(120)]
    path, site, _ = imported(hooks)
    original, ours = Original(path), serve(site)
    payloads = [PUSH, {}, {"n": "1", "ref": "x"}, {"missing": "1", "other": "x", "a": {"b": {"c": "2"}}}, {"yes": True, "list": [{"name": "x"}]}]
    fired = 0
    try:
        for h in hooks:
            for value in payloads:
                body, target = json.dumps(value).encode(), f"/hooks/{h['id']}" + r.choice(["", "?n=1&ref=x", "?missing=2"])
                theirs = original.post(target, {"Content-Type": JSON, "Other": "x"}, body)[1] == "FIRED"
                mine = bool(json.loads(ours.request("POST", target, body, {"Content-Type": JSON, "Other": "x"})[2])["matched"])
                assert mine == theirs, (h, value, target, mine, theirs)
                fired += mine
    finally:
        original.stop()
    assert 100 < fired < 500, fired


def test_whatever_stands_in_a_hooks_file_the_rules_are_sound():
    """import holds its directory against check: it must never fail, nor let a text out of its quotes."""
    r = random.Random(5)
    nasty = ['"', "\\", "]]", "\n", "\0x", "--", "' or ''='", "{{", "}", "\u2028", "\t", "end", "a.b", "[0]", "ü", "*", "?", "%s", "\r\n]]--[["]

    def text():
        return "".join(r.choice(nasty + ["x"]) for _ in range(r.randrange(5))).replace("\0", "")

    def arg():
        return {"source": r.choice(["payload", "header", "url", "string", "request", "entire-payload", "raw-request-body", text()]),
                "name": text(), "envname": r.choice(["", text()]), "base64decode": r.random() < 0.5}

    def rule(depth=0):
        if depth < 3 and r.random() < 0.5:
            return {r.choice(["and", "or"]): [rule(depth + 1) for _ in range(3)]}
        return {"match": {"type": r.choice(["value", "regex", "payload-hmac-sha1", "ip-whitelist", text()]), "value": text(), "regex": text(),
                          "secret": text(), "ip-range": text(), "parameter": arg()}}

    for _ in range(30):
        hooks = [{"id": f"{i}" + text().replace("\n", "").replace("\r", ""), "execute-command": text(), "command-working-directory": r.choice(["", text()]),
                  "pass-arguments-to-command": [arg() for _ in range(3)], "pass-environment-to-command": [arg() for _ in range(2)],
                  "pass-file-to-command": [arg()], "parse-parameters-as-json": [arg()], "response-message": text(),
                  "incoming-payload-content-type": r.choice(["", text()]), "http-methods": [text()], "trigger-rule": rule()} for i in range(20)]
        imported(hooks)
