"""Every provider over the real server: one rule for any forge, the matrix of refusals, handshakes, providers of one's own.

Signatures are made here, by Python and the openssl program, and owe nothing to the engine's own code.
"""
import json
import os

from lib import Server

CONFIG = '''config { listen = { { "127.0.0.1:0", serve = { "hooks", "pages" } } } }
'''
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def site(sources, rules="", **files):
    """A server with SOURCES: name -> (provider, secret)."""
    config = CONFIG + "".join(f'source "{name}" {{ provider = "{provider}", secret = secret "{name}" }}\n'
                              for name, (provider, _) in sources.items())
    env = {"PUSHROD_SECRET_" + name.upper().replace("-", "_"): secret for name, (_, secret) in sources.items()}
    s = Server(dict({"pushrod.lua": config, "rules/r.lua": rules or 'rule "all" { on = "push", when = "always", steps = { { "x", sh = "true" } } }\n'},
                    **files), env=env)
    s.secrets = env
    return s


def simulate(s, *args, code=0):
    got, out, err = s.cli("simulate", "--site", s.site, *args, env=s.secrets)
    assert got == code, (args, got, out, err)
    return out + err


# ---- one rule, any forge ----

FORGES = ["github", "gitlab", "gitlab-signing-token", "gitea", "gogs", "bitbucket", "bitbucket-server", "azure-devops"]
ONE_RULE = "".join(f'rule "{name}" {{ on = "{on}", when = {when}, steps = {{ {{ "x", sh = "true" }} }} }}\n' for name, on, when in (
    ("pushed", "push", '{ branch = "main" }'), ("tagged", "tag", '{ tag = "v1.*" }'), ("gone", "delete", '{ branch = "old-page" }'),
    ("opened", "pull_request.opened", '{ base = "main", head = "index", number = 7, fork = false }'),
    ("stranger", "pull_request.synchronize", '{ fork = true }'),
    ("merged", "pull_request.merged", '{ base = "main", ref = "refs/heads/main" }'), ("closed", "pull_request.closed", '"always"'),
    ("issue", "issue.opened", '{ title = "A typo" }'), ("comment", "comment.created", '{ message = "/rebuild" }'),
    ("released", "release.published", '{ tag = "v1.2.0" }')))


def matched(s, source, event):
    answer = json.loads(simulate(s, source, event, "--json"))
    return [m["rule"] for m in answer["matched"]]


def test_one_rule_fires_for_every_forge():
    s = site({f: (f, "ada:s" if f == "azure-devops" else WHSEC) for f in FORGES}, ONE_RULE)
    seen = {}
    for forge in FORGES:
        names = json.loads(simulate(s, forge, "--list", "--json"))
        for sample in (n["event"] for n in names):
            rule = {"push": "pushed", "push-form": "pushed", "tag": "tagged", "delete": "gone", "pull_request.opened": "opened",
                    "pull_request.synchronize": "stranger", "pull_request.merged": "merged", "pull_request.closed": "closed",
                    "issue.opened": "issue", "comment.created": "comment", "release.published": "released"}.get(sample)
            if rule:
                assert matched(s, forge, sample) == [rule], (forge, sample)
                seen.setdefault(rule, set()).add(forge)
    for rule in ("pushed", "opened", "merged"):
        assert seen[rule] == set(FORGES), (rule, seen[rule])
    assert seen["tagged"] == set(FORGES) and len(seen["stranger"]) == 7 and len(seen["comment"]) == 7, seen
    # what is no mapping of a merge is the native word of one source: there GitHub's own name holds
    s.write("rules/r.lua", 'rule "native" { on = "github:pull_request.closed", when = "always", steps = { { "x", sh = "true" } } }\n')
    from lib import wait
    wait("the rules are in force", lambda: "native" in s.request("GET", "/api/v1/rules")[2].decode())
    assert matched(s, "github", "pull_request.merged") == ["native"]


def test_one_rule_fires_for_every_payment_gateway():
    rules = "".join(f'rule "{what}" {{ on = "payment.{what}", when = {{ payment = {{ exists = true }}, amount = {{ gt = 0 }} }}, '
                    f'steps = {{ {{ "x", sh = "true" }} }} }}\n' for what in ("succeeded", "failed", "refunded", "disputed"))
    s = site({"stripe": ("stripe", "whsec_test"), "razorpay": ("razorpay", "rz")}, rules)
    for gateway in ("stripe", "razorpay"):
        for what in ("succeeded", "failed", "refunded", "disputed"):
            assert matched(s, gateway, f"payment.{what}") == [what]
