"""Every provider over the real server: one rule for any forge, the matrix of refusals, handshakes, providers of one's own.

Signatures are made here, by Python and the openssl program, and owe nothing to the engine's own code.
"""
import base64
import glob
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
import uuid

from lib import ROOT, Server, folder, wait

CONFIG = '''config { listen = { { "127.0.0.1:0", serve = { "hooks", "pages" } } } }
'''
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
PUBLIC64 = base64.b64encode(PUBLIC).decode()
WRONG_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")


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


def fires(s, forge, sample):
    r = Request(s, forge, sample)
    assert r.send() == 202, (forge, sample, r.answer)
    return [m["rule"] for m in json.loads(r.answer)["matched"]]


def test_one_rule_fires_for_every_forge():
    s = site({f: (f, SCHEMES[f].secret) for f in [*FORGES, "sourcehut"]}, ONE_RULE)
    seen = {}
    for forge in [*FORGES, "sourcehut"]:
        for sample in samples_of(forge):
            rule = {"push": "pushed", "push-form": "pushed", "tag": "tagged", "delete": "gone", "pull_request.opened": "opened",
                    "pull_request.synchronize": "stranger", "pull_request.merged": "merged", "pull_request.closed": "closed",
                    "issue.opened": "issue", "comment.created": "comment", "release.published": "released"}.get(sample)
            if rule:
                assert fires(s, forge, sample) == [rule], (forge, sample)
                seen.setdefault(rule, set()).add(forge)
    for rule in ("opened", "merged"):
        assert seen[rule] == set(FORGES), (rule, seen[rule])            # sourcehut has patches by mail in their place
    for rule in ("pushed", "tagged"):
        assert seen[rule] == {*FORGES, "sourcehut"}, (rule, seen[rule])
    assert len(seen["stranger"]) == 7 and len(seen["comment"]) == 8 and len(seen["gone"]) == 8, seen
    # what is no mapping of a merge is the native word of one source: there GitHub's own name holds
    s.write("rules/r.lua", 'rule "native" { on = "github:pull_request.closed", when = "always", steps = { { "x", sh = "true" } } }\n')
    wait("the rules are in force", lambda: "native" in s.request("GET", "/api/v1/rules")[2].decode())
    assert matched(s, "github", "pull_request.merged") == ["native"]


def test_one_rule_fires_for_every_payment_gateway():
    rules = "".join(f'rule "{what}" {{ on = "payment.{what}", when = {{ payment = {{ exists = true }}, amount = {{ gt = 0 }} }}, '
                    f'steps = {{ {{ "x", sh = "true" }} }} }}\n' for what in ("succeeded", "failed", "refunded", "disputed"))
    s = site({"stripe": ("stripe", "whsec_test"), "razorpay": ("razorpay", "rz")}, rules)
    for gateway in ("stripe", "razorpay"):
        for what in ("succeeded", "failed", "refunded", "disputed"):
            assert matched(s, gateway, f"payment.{what}") == [what]


# ---- senders, written from their documentation ----

def mac(key, text, digest=hashlib.sha256):
    return hmac.new(key, text, digest)


def b64(raw):
    return base64.b64encode(raw).decode()


def whsec_key(key):
    return base64.b64decode(key[len("whsec_"):])


def ed25519(text):
    """By the openssl program, with the seed of RFC 8032's first test."""
    place = folder()
    with open(os.path.join(place, "key.der"), "wb") as f:
        f.write(bytes.fromhex("302e020100300506032b657004220420") + SEED)
    with open(os.path.join(place, "text"), "wb") as f:
        f.write(text)
    return subprocess.run(["openssl", "pkeyutl", "-sign", "-keyform", "DER", "-inkey", os.path.join(place, "key.der"), "-rawin",
                           "-in", os.path.join(place, "text")], check=True, capture_output=True).stdout


def standard(prefix):
    def sign(r):
        text = b".".join((r.id.encode(), str(r.now).encode(), r.body))
        return {prefix + "signature": "v1," + b64(mac(whsec_key(r.key), text).digest()), prefix + "id": r.id, prefix + "timestamp": str(r.now)}
    return sign


def standard_ed25519(r):
    signature = b64(ed25519(b".".join((r.id.encode(), str(r.now).encode(), r.body))))
    return {"webhook-signature": "v1a," + signature, "webhook-id": r.id, "webhook-timestamp": str(r.now)}


def form_json(r):
    if "urlencoded" not in r.headers.get("Content-Type", ""):
        return r.body
    return urllib.parse.parse_qs(r.body.decode())["payload"][0].encode()


def twilio(r):
    if "urlencoded" in r.headers.get("Content-Type", ""):
        pairs = sorted(urllib.parse.parse_qsl(r.body.decode(), keep_blank_values=True))
        text = r.url + "".join(k + v for k, v in pairs)
    else:
        r.query = "bodySHA256=" + hashlib.sha256(r.body).hexdigest()
        text = r.url + "?" + r.query
    return {"X-Twilio-Signature": b64(mac(r.key.encode(), text.encode(), hashlib.sha1).digest())}


def docker_hub(r):
    r.query = "token=" + urllib.parse.quote(r.key)
    return {}


def hexed(r, text=None):
    return mac(r.key.encode(), r.body if text is None else text).hexdigest()


def basic(r):
    return {"Authorization": "Basic " + b64(r.key.encode())}


def bearer(r):
    return {"Authorization": "Bearer " + r.key}


class Scheme:
    """How PROVIDER signs: the name of the header that proves it, the other secret, what is bound."""

    def __init__(self, sign, header, key=WHSEC, wrong="whsec_" + "A" * 32, secret=None, ids=None, window=None, accepted=202, binds_body=True):
        self.sign, self.header, self.key, self.wrong, self.ids = sign, header, key, wrong, ids
        self.secret = key if secret is None else secret         # what the engine is given, where it is not what signs
        self.window, self.accepted, self.binds_body = window, accepted, binds_body


SCHEMES = {
    "github": Scheme(lambda r: {"X-Hub-Signature-256": "sha256=" + hexed(r)}, "X-Hub-Signature-256", ids="X-GitHub-Delivery"),
    "gitea": Scheme(lambda r: {"X-Gitea-Signature": hexed(r, form_json(r))}, "X-Gitea-Signature", ids="X-Gitea-Delivery"),
    "gogs": Scheme(lambda r: {"X-Gogs-Signature": hexed(r)}, "X-Gogs-Signature", ids="X-Gogs-Delivery"),
    "bitbucket": Scheme(lambda r: {"X-Hub-Signature": "sha256=" + hexed(r)}, "X-Hub-Signature", ids="X-Request-UUID"),
    "bitbucket-server": Scheme(lambda r: {"X-Hub-Signature": "sha256=" + hexed(r)}, "X-Hub-Signature", ids="X-Request-Id"),
    "gitlab": Scheme(lambda r: {"X-Gitlab-Token": r.key}, "X-Gitlab-Token", ids="Idempotency-Key", binds_body=False),
    "gitlab-signing-token": Scheme(standard("webhook-"), "webhook-signature", window=300),
    "sourcehut": Scheme(lambda r: {"X-Payload-Signature": b64(ed25519(r.body + b"n0nce")), "X-Payload-Nonce": "n0nce"}, "X-Payload-Signature",
                        secret=PUBLIC64, wrong=b64(WRONG_PUBLIC), ids="X-Webhook-Delivery"),
    "azure-devops": Scheme(basic, "Authorization", key="ada:pa:ss", wrong="ada:pa", binds_body=False),
    "stripe": Scheme(lambda r: {"Stripe-Signature": f"t={r.now},v1=" + hexed(r, str(r.now).encode() + b"." + r.body)}, "Stripe-Signature", window=300),
    "razorpay": Scheme(lambda r: {"X-Razorpay-Signature": hexed(r)}, "X-Razorpay-Signature", ids="x-razorpay-event-id"),
    "standard-webhooks": Scheme(standard("webhook-"), "webhook-signature", window=300),
    "standard-webhooks-ed25519": Scheme(standard_ed25519, "webhook-signature", secret="whpk_" + PUBLIC64, wrong="whpk_" + b64(WRONG_PUBLIC), window=300),
    "svix": Scheme(standard("svix-"), "svix-signature", window=300),
    "shopify": Scheme(lambda r: {"X-Shopify-Hmac-Sha256": b64(mac(r.key.encode(), r.body).digest())}, "X-Shopify-Hmac-Sha256", ids="X-Shopify-Webhook-Id"),
    "slack": Scheme(lambda r: {"X-Slack-Signature": "v0=" + hexed(r, b"v0:" + str(r.now).encode() + b":" + r.body), "X-Slack-Request-Timestamp": str(r.now)},
                    "X-Slack-Signature", window=300, accepted=200),
    "discord": Scheme(lambda r: {"X-Signature-Ed25519": ed25519(str(r.now).encode() + r.body).hex(), "X-Signature-Timestamp": str(r.now)},
                      "X-Signature-Ed25519", secret=PUBLIC.hex(), wrong=WRONG_PUBLIC.hex(), window=300, accepted=204),
    "twilio": Scheme(twilio, "X-Twilio-Signature", ids="I-Twilio-Idempotency-Token", accepted=204),
    "linear": Scheme(lambda r: {"Linear-Signature": hexed(r)}, "Linear-Signature", ids="Linear-Delivery", window=60),
    "sentry": Scheme(lambda r: {"Sentry-Hook-Signature": hexed(r)}, "Sentry-Hook-Signature", ids="Request-ID"),
    "npm": Scheme(lambda r: {"X-Npm-Signature": "sha256=" + hexed(r)}, "X-Npm-Signature"),
    "docker-hub": Scheme(docker_hub, None, binds_body=False),
    "cloudevents": Scheme(bearer, "Authorization", binds_body=False),
    "convoy": Scheme(lambda r: {"X-Convoy-Signature": hexed(r)}, "X-Convoy-Signature"),
    "convoy-advanced": Scheme(lambda r: {"X-Convoy-Signature": f"t={r.now},v1=" + hexed(r, str(r.now).encode() + b"," + r.body)},
                              "X-Convoy-Signature", window=300),
    "bearer": Scheme(bearer, "Authorization", ids="Idempotency-Key", binds_body=False),
    "basic": Scheme(basic, "Authorization", key="ada:pa:ss", wrong="ada:pa:s", ids="Idempotency-Key", binds_body=False),
    "generic-hmac": Scheme(lambda r: {"X-Signature": hexed(r)}, "X-Signature", ids="X-Delivery"),
}


class Request:
    """A sample of PROVIDER, made ready as its sender does it."""

    def __init__(self, server, provider, sample, late=0):
        self.scheme, self.server, self.path, self.query = SCHEMES[provider], server, "/hooks/" + provider, ""
        self.key, self.now, self.id = self.scheme.key, int(time.time()) - late, str(uuid.uuid4())
        with open(os.path.join(ROOT, "plugins/providers/samples", provider, sample + ".http"), "rb") as f:
            text = f.read().decode()
        text = text.replace("${id}", self.id).replace("${now}", str(self.now)).replace("${now_ms}", str(self.now * 1000))
        head, body = text.split("\n\n", 1) if not text.startswith("\n") else ("", text[1:])
        self.headers = {"Content-Type": "application/json"}
        self.headers.update(line.split(": ", 1) for line in head.splitlines())
        if self.scheme.ids:
            self.headers[self.scheme.ids] = self.id
        self.body = body[:-1].encode()
        self.url = server.url() + self.path
        self.proof = self.scheme.sign(self)

    def send(self, proof=None, body=None, query=None):
        """PROOF: a list of (name, value), which may name one twice."""
        proof = list(self.proof.items()) if proof is None else proof
        query = self.query if query is None else query
        body = self.body if body is None else body
        c = http.client.HTTPConnection("127.0.0.1", self.server.port("hooks"), timeout=30)
        c.putrequest("POST", self.path + ("?" + query if query else ""))
        for name, value in [*self.headers.items(), *proof, ("Content-Length", str(len(body)))]:
            c.putheader(name, value)
        c.endheaders(body)
        answer = c.getresponse()
        self.answer = answer.read()
        c.close()
        return answer.status


def senders():
    return site({p: (p, scheme.secret) for p, scheme in SCHEMES.items()})


def stored(s, source):
    return len(s.get(f"/api/v1/deliveries?source={source}&limit=100")["deliveries"])


def samples_of(provider):
    return sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(ROOT, "plugins/providers/samples", provider, "*.http")))


def bad_proofs(r):
    """[(what, proof, query)]: whatever a forger could write in place of what proves the sender."""
    header = r.scheme.header
    if header is None:
        return [("missing", [], ""), ("empty", [], "token="), ("malformed", [], "token=%zz"), ("doubled", [], r.query + "&" + r.query)]
    others = [(k, v) for k, v in r.proof.items() if k != header]
    value = r.proof[header]
    out = [("missing", others), ("empty", [(header, ""), *others]), ("malformed", [(header, "?!"), *others]),
           ("cut", [(header, value[:-3]), *others]), ("doubled", [(header, value), (header, value), *others]),
           ("doubled in another case", [(header, value), (header.upper(), value), *others])]
    for name, v in others:                                      # a timestamp, an id, a nonce
        rest = [(k, x) for k, x in r.proof.items() if k != name]
        out += [(f"without {name}", rest), (f"{name} empty", [*rest, (name, "")]), (f"{name} doubled", [*rest, (name, v), (name, v)]),
                (f"{name} another", [*rest, (name, "1" + v)])]
    return [(what, proof, None) for what, proof in out]


def refused(s, provider, sample):
    scheme, before = SCHEMES[provider], stored(s, provider)
    r = Request(s, provider, sample)
    for what, proof, query in bad_proofs(r):
        status = r.send(proof=proof, query=query)
        assert status == (400 if (provider, what) == ("docker-hub", "malformed") else 401), (provider, what, status, r.answer)
    if scheme.binds_body:
        for tampered in (r.body.replace(b"a", b"b", 1), r.body + b" ", r.body[:-1], b"\xef\xbb\xbf" + r.body):
            status = r.send(body=tampered)
            assert status in ((400, 401) if "urlencoded" in r.headers["Content-Type"] else (401,)), (provider, "tampered", status, r.answer)
    if scheme.window:
        for late in (scheme.window + 2, -scheme.window - 2, 10 ** 9):
            stale = Request(s, provider, sample, late)
            assert stale.send() == 401, (provider, "late", late, stale.answer)
    assert b"signature" not in r.answer.lower() and b"secret" not in r.answer.lower(), r.answer
    assert stored(s, provider) == before, (provider, "something refused was stored")


def test_every_provider_accepts_its_samples_and_refuses_what_is_wrong():
    s = senders()
    assert set(SCHEMES) == {os.path.basename(p)[:-4] for p in glob.glob(os.path.join(ROOT, "plugins/providers/*.lua"))}
    for provider, scheme in SCHEMES.items():
        handshakes = {("slack", "url_verification"), ("discord", "ping")}
        samples = [x for x in samples_of(provider) if (provider, x) not in handshakes]
        for n, sample in enumerate(samples):
            r = Request(s, provider, sample)
            status = r.send()
            assert status == scheme.accepted, (provider, sample, status, r.answer)
            assert (r.answer == b"") == (scheme.accepted != 202), (provider, r.answer)
            assert stored(s, provider) == n + 1, (provider, sample)
        refused(s, provider, samples[0])


def test_no_provider_accepts_another_secrets_signature():
    s = site({p: (p, scheme.wrong) for p, scheme in SCHEMES.items()})
    for provider in SCHEMES:
        r = Request(s, provider, samples_of(provider)[0])
        assert r.send() == 401, (provider, r.answer)
        assert stored(s, provider) == 0


def test_I11_what_proves_a_sender_is_not_kept():
    s = senders()
    proofs = {}
    for provider in ("gitlab", "docker-hub", "cloudevents", "bearer", "basic", "github"):
        r = Request(s, provider, samples_of(provider)[0])
        assert r.send() == r.scheme.accepted, (provider, r.answer)
        proofs[provider] = [v.split(" ")[-1] for v in r.proof.values()] + [r.key] + ([r.query.split("=")[1]] if r.query else [])
        told = s.get(f"/api/v1/deliveries/{s.get(f'/api/v1/deliveries?source={provider}')['deliveries'][0]['id']}")
        for proof in proofs[provider]:
            assert proof not in json.dumps(told), (provider, proof, told)
    s.stop()
    for name in os.listdir(s.state):
        if name.startswith("pushrod.db"):
            with open(os.path.join(s.state, name), "rb") as f:
                bytes_ = f.read()
            for provider, proof in ((p, x) for p, list_ in proofs.items() for x in list_):
                assert proof.encode() not in bytes_, (provider, proof, name)


def test_simulate_sends_samples_of_every_provider():
    s = senders()
    key = os.path.join(s.home, "private")
    with open(key, "w", encoding="ascii") as f:
        f.write(SEED.hex() + "\n")
    for provider, scheme in SCHEMES.items():
        extra = ["--private-key", key] if scheme.secret != scheme.key else []
        for sample in samples_of(provider)[:2]:
            code, out, err = s.cli("simulate", "--site", s.site, provider, sample, *extra, env=s.secrets)
            assert code in (0, 3), (provider, sample, code, out, err)
    err = simulate(s, "discord", "ping", code=1)
    assert "--private-key" in err and "public key" in err, err
    with open(key, "w", encoding="ascii") as f:
        f.write("00" * 32)
    assert "other half" in simulate(s, "discord", "ping", "--private-key", key, code=1)
    err = simulate(s, "github", "pull_request.opend", code=1)
    assert "did you mean 'pull_request.opened'" in err and "release.published" in err, err
    assert "orders-create" in simulate(s, "shopify", "--list") and "github" in simulate(s, "--list")
    assert "delivery" in simulate(s, "shopify", "orders/create", code=3)         # by the native event
    body = os.path.join(s.home, "linear.json")
    with open(body, "w", encoding="ascii") as f:
        f.write('{"type":"Issue","action":"create","webhookTimestamp":1700000000000}')
    err = simulate(s, "linear", "Issue", "--file", body, code=1)
    assert " s old; the window is 60 s" in err, err
    own = os.path.join(s.home, "own.http")
    with open(own, "w", encoding="ascii") as f:
        f.write('Linear-Event: Comment\n\n{"type":"Comment","action":"create","webhookTimestamp":${now_ms}}\n')
    assert "delivery" in simulate(s, "linear", "x", "--file", own, code=3)
    with open(own, "w", encoding="ascii") as f:
        f.write("no header\n\n{}\n")
    assert "line 1" in simulate(s, "linear", "x", "--file", own, code=1)


# ---- the rules of verification that need a server ----

def test_rule_8_what_is_not_verified_is_no_duplicate_and_no_json():
    s = senders()
    r = Request(s, "github", "push")
    forged = [("X-Hub-Signature-256", "sha256=" + "0" * 64)]
    assert r.send(proof=forged) == 401                          # the id is not remembered ...
    assert r.send() == 202 and json.loads(r.answer).get("duplicate") is None
    assert r.send() == 200 and json.loads(r.answer)["duplicate"] is True
    assert r.send(proof=forged) == 401                          # ... and a known one does not answer a forger
    assert r.send(proof=forged, body=b"[" * 100000) == 401      # nothing is parsed before
    assert r.send(proof=forged, body=b"{") == 401
    assert stored(s, "github") == 1


def test_rule_9_each_refusal_has_its_status_and_says_no_more():
    s = senders()
    r = Request(s, "github", "push")
    assert r.send(proof=[]) == 401 and b"could not be verified" in r.answer
    assert r.send(proof=[("X-Hub-Signature-256", "sha256=" + "0" * 9000)]) == 400
    r.body = b"{"
    assert r.send(proof=list(r.scheme.sign(r).items())) == 400
    r.headers["Content-Type"] = "text/plain"
    assert r.send() == 415
    r.headers["Content-Type"] = "application/cloudevents-batch+json"
    assert r.send() == 415
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        status, headers, _ = s.request(method, "/hooks/github")
        assert status == 405 and headers["allow"] == "POST", (method, status)
    c = http.client.HTTPConnection("127.0.0.1", s.port("hooks"), timeout=30)
    c.putrequest("POST", "/hooks/github")
    c.putheader("Content-Length", str((25 << 20) + 1))
    c.endheaders()
    assert c.getresponse().status == 413
    c.close()
    assert stored(s, "github") == 0


def test_rule_10_genuine_deliveries_of_the_future_are_told_in_status():
    s = senders()
    assert Request(s, "stripe", "payment.succeeded", -400).send() == 401
    forged = Request(s, "stripe", "payment.succeeded", -400)
    assert forged.send(proof=[("Stripe-Signature", f"t={forged.now},v1=" + "0" * 64)]) == 401
    assert s.get("/api/v1/status")["from_future"] == 1
    assert "clock" in s.cli("status")[1]


# ---- handshakes, after verification ----

def test_handshakes_are_answered_once_verified_and_not_stored():
    s = senders()
    r = Request(s, "slack", "url_verification")
    assert r.send(proof=[]) == 401
    assert r.send() == 200 and r.answer == b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    r = Request(s, "discord", "ping")
    assert r.send(proof=[("X-Signature-Ed25519", "00" * 64), ("X-Signature-Timestamp", str(r.now))]) == 401
    assert r.send() == 204 and r.answer == b""
    assert stored(s, "slack") == stored(s, "discord") == 0


def test_cloudevents_ask_by_options():
    s = senders()
    asks = {"WebHook-Request-Origin": "events.example.org", "WebHook-Request-Rate": "120", "WebHook-Request-Callback": "https://events.example.org/c"}
    for path, headers in (("/hooks/cloudevents?access_token=" + WHSEC, asks), ("/hooks/cloudevents", dict(asks, Authorization="Bearer " + WHSEC))):
        status, got, body = s.request("OPTIONS", path, headers=headers)
        assert status == 200 and body == b"", (status, body)
        assert got["webhook-allowed-origin"] == "events.example.org" and got["webhook-allowed-rate"] == "*" and got["allow"] == "POST", got
    for path, headers, wanted in (("/hooks/cloudevents", asks, 401), ("/hooks/cloudevents?access_token=x", asks, 401),
                                  ("/hooks/cloudevents?access_token=" + WHSEC, {}, 405), ("/hooks/github", asks, 405)):
        status, got, _ = s.request("OPTIONS", path, headers=headers)
        assert status == wanted and "webhook-allowed-origin" not in got, (path, headers, status, got)
    r = Request(s, "cloudevents", "binary")
    assert r.send(proof=[], query="access_token=" + WHSEC) == 202
    r.headers["ce-source"] += "/other"                          # the id is unique with its source only
    assert r.send() == 202 and json.loads(r.answer).get("duplicate") is None
    assert r.send() == 200 and stored(s, "cloudevents") == 2


def test_a_secret_is_replaced_without_a_gap():
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
    s = Server({"pushrod.lua": CONFIG + 'source "github" { provider = "github", secret = { secret "new", { secret "old", not_after = "%s" } } }\n' % until},
               env={"PUSHROD_SECRET_NEW": "new one", "PUSHROD_SECRET_OLD": "old one"})
    old, new = Request(s, "github", "push"), Request(s, "github", "push")
    for r, key in ((old, "old one"), (new, "new one")):
        r.key = key
        r.proof = r.scheme.sign(r)
        assert r.send() == 202, r.answer
    wait("the old secret expires", lambda: old.send() == 401)
    assert time.time() >= time.mktime(time.strptime(until, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - 1
    assert new.send() == 200, new.answer


# ---- a provider of one's own ----

OWN = """-- Our build farm.
local signed = "{msgid}:{body}"
provider "farm" {
  kind = "hmac", hash = "sha512", enc = "base64", sig = "header:X-Farm-Mac", msgid = "header:X-Farm-Id", signed = signed,
  event = "json:kind", delivery = "header:X-Farm-Id", id_in_mac = true,
  events = { built = { "release.published", repo = "project", tag = "version" } },
}
"""


def test_a_provider_of_ones_own_works_as_those_that_are_shipped():
    rules = 'rule "built" { on = "release", when = { repo = "handbook", tag = "v*" }, steps = { { "x", sh = "true" } } }\n'
    s = site({"farm": ("farm", "s")}, rules, **{
        "plugins/providers/farm.lua": OWN, "plugins/providers/samples/farm/built.http": '\n{"kind":"built","project":"handbook","version":"v1"}\n'})
    body = b'{"kind":"built","project":"handbook","version":"v1"}'

    def post(id_, key="s"):
        signature = b64(mac(key.encode(), id_.encode() + b":" + body, hashlib.sha512).digest())
        return s.request("POST", "/hooks/farm", body, {"Content-Type": "application/json", "X-Farm-Id": id_, "X-Farm-Mac": signature})
    status, _, answer = post("a")
    assert status == 202 and [m["rule"] for m in json.loads(answer)["matched"]] == ["built"], answer
    assert post("a")[0] == 200 and post("b", "x")[0] == 401
    assert matched(s, "farm", "built") == ["built"] and "built" in simulate(s, "farm", "--list")
    s.write("plugins/providers/farm.lua", OWN.replace('hash = "sha512"', 'hash = "sha215"').replace("repo =", "rpeo ="))
    code, out, err = s.cli("check", s.site)
    text = out + err
    assert code == 1 and "plugins/providers/farm.lua:4:" in text and "sha215" in text, text
    assert "plugins/providers/farm.lua:6:" in text and "did you mean 'repo'" in text, text
    s.write("plugins/providers/farm.lua", OWN.replace("signed = signed", "signed = singed"))
    text = "".join(s.cli("check", s.site)[1:])
    assert "plugins/providers/farm.lua:4:" in text and "undefined name 'singed', did you mean 'signed'" in text, text
    s.write("plugins/providers/farm.lua", OWN.replace('provider "farm"', 'provider "ranch"'))
    assert "this file is that of provider \"farm\"" in "".join(s.cli("check", s.site)[1:])


TELLING = """
provider "farm" {
  kind = "token", sig = "header:X-Shared-Key|query:key", event = "header:X-Event-Secret", delivery = "header:X-Delivery-Token", id_in_mac = false,
  events = { built = "release.published" },
}
"""


def test_what_tells_deliveries_apart_is_kept_whatever_its_name_and_the_proof_is_not():
    rules = '''rule "built" { on = "release", when = { header = { ["x-delivery-token"] = "d-*" }, query = { a = "1" } }, steps = { { "x", sh = "true" } } }
rule "proof" { on = "release", when = { header = { ["x-shared-key"] = { exists = true } } }, steps = { { "x", sh = "true" } } }
rule "query" { on = "release", when = { query = { key = { exists = true } } }, steps = { { "x", sh = "true" } } }
'''
    s = site({"farm": ("farm", "the shared key")}, rules, **{"plugins/providers/farm.lua": TELLING})
    told = {"Content-Type": "application/json", "X-Event-Secret": "built", "X-Delivery-Token": "d-1", "X-Other-Token": "no"}
    status, _, answer = s.request("POST", "/hooks/farm?a=1", b"{}", {**told, "X-Shared-Key": "the shared key"})
    assert status == 202 and [m["rule"] for m in json.loads(answer)["matched"]] == ["built"], answer
    status, _, answer = s.request("POST", "/hooks/farm?a=1&k%65y=the%20shared+key&b=2", b"{}", {**told, "X-Delivery-Token": "d-2"})
    assert status == 202 and [m["rule"] for m in json.loads(answer)["matched"]] == ["built"], answer
    for n, query in ((1, "a=1"), (2, "a=1&b=2")):
        kept = s.get(f"/api/v1/deliveries/{n}")
        assert kept["headers"]["x-delivery-token"] == f"d-{n}" and kept["headers"]["x-event-secret"] == "built", kept
        assert kept["query"] == query and not {"x-shared-key", "x-other-token"} & set(kept["headers"]), kept
    code, out, err = s.cli("check", s.site, env=s.secrets)
    assert "rules/r.lua:2:" in out + err and "x-delivery-token" not in out + err, out + err
    code, out, err = s.cli("explain", "1")
    assert "release" in out, out + err


def test_a_file_of_a_shipped_providers_name_takes_its_place_and_one_may_be_like_another():
    own = 'provider "github" { kind = "token", sig = "header:X-Relay", event = "header:X-GitHub-Event", action = "json:action", %s }\n'
    s = site({"github": ("github", "s")}, 'rule "r" { on = "push", when = { branch = "main" }, steps = { { "x", sh = "true" } } }\n',
             **{"plugins/providers/github.lua": own % 'events = { push = { "push", branch = "b" } }',
                "plugins/providers/relay.lua": 'provider "relay" { kind = "token", sig = "header:X-Relay", event = "header:X-GitHub-Event", like = "gitea" }\n'})
    r = {"Content-Type": "application/json", "X-Relay": "s", "X-GitHub-Event": "push"}
    status, _, answer = s.request("POST", "/hooks/github", b'{"b":"main"}', r)
    assert status == 202 and len(json.loads(answer)["matched"]) == 1, answer
    s.write("plugins/providers/github.lua", own % 'like = "nobody"')
    text = "".join(s.cli("check", s.site)[1:])
    assert "plugins/providers/github.lua:1:" in text and "like = 'nobody'" in text, text
    s.write("plugins/providers/github.lua", own % 'like = "relay"')                  # which is itself like another
    assert "like = 'relay'" in "".join(s.cli("check", s.site)[1:])


# ---- what docs/providers.md says ----

class PayPal(http.server.BaseHTTPRequestHandler):
    """As much of PayPal as the recipe asks: a token for its client, a capture for the token."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        good = self.path == "/v1/oauth2/token" and body == b"grant_type=client_credentials" and \
            self.headers["Authorization"] == "Basic " + b64(b"client:s3cret")
        self.answer(200 if good else 401, {"scope": "x", "access_token": "A21AA", "expires_in": 32400})

    def do_GET(self):
        good = self.path.startswith("/v2/payments/captures/") and self.headers["Authorization"] == "Bearer A21AA"
        state = "COMPLETED" if self.path.endswith("/2GG279541U471931P") else "PENDING"
        self.answer(200 if good else 401, {"id": "x", "status": state, "amount": {"currency_code": "EUR", "value": "19.00"}, "custom_id": "A-17"})

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


def documented():
    with open(os.path.join(ROOT, "docs/providers.md"), encoding="utf-8") as f:
        return f.read()


def test_the_recipe_for_paypal_asks_paypal():
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PayPal)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    files = dict(re.findall(r"```lua\n-- ((?:plugins|rules)/\S*paypal\.lua)\n(.*?)```", documented(), re.S))
    files["rules/paypal.lua"] = files["rules/paypal.lua"].replace("https://api-m.paypal.com", f"http://127.0.0.1:{api.server_port}")
    s = Server(dict({"pushrod.lua": CONFIG + 'source "paypal" { provider = "paypal", secret = secret "hook" }\n'}, **files),
               env={"PUSHROD_SECRET_HOOK": "in the address", "PUSHROD_SECRET_PAYPAL_CLIENT": "client:s3cret"})

    def post(id_, payment, token="in%20the%20address"):
        body = {"id": id_, "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"id": payment, "custom_id": "A-17", "amount": {"currency_code": "EUR", "value": "1.00"}}}
        status, _, answer = s.request("POST", "/hooks/paypal?token=" + token, json.dumps(body), {"Content-Type": "application/json"})
        return status, json.loads(answer)
    assert post("WH-0", "2GG279541U471931P", "x")[0] == 401
    jobs = [post(f"WH-{n}", payment)[1]["matched"][0]["job"] for n, payment in enumerate(("2GG279541U471931P", "3HH", "../../x"))]
    states = [s.finished(j)["state"] for j in jobs]
    assert states == ["succeeded", "failed", "failed"], (states, [s.lines(j) for j in jobs])
    log = s.get(f"/api/v1/jobs/{jobs[0]}") and s.request("GET", f"/api/v1/jobs/{jobs[0]}/log")[2].decode()
    assert "19.00 EUR for A-17" in log and "s3cret" not in log, log
    api.shutdown()


def test_docs_name_every_provider_key_and_converter():
    text = documented()
    for path in glob.glob(os.path.join(ROOT, "plugins/providers/*.lua")):
        assert f"`{os.path.basename(path)[:-4]}`" in text, path
    with open(os.path.join(ROOT, "rules/provider.c"), encoding="utf-8") as f:
        keys = re.search(r"keys\[\] = \{(.*?)NULL", f.read(), re.S).group(1)
    for key in re.findall(r'"(\w+)"', keys):
        assert f"`{key}`" in text, key
    with open(os.path.join(ROOT, "rules/mapping.c"), encoding="utf-8") as f:
        names = re.search(r"converters\[CONV_COUNT\] = \{(.*?)\};", f.read(), re.S).group(1)
    for name in re.findall(r'= "(\w+)"', names):
        assert f"`{name}:" in text, name
    examples = re.findall(r"```lua\n(provider .*?)```", text, re.S)
    assert len(examples) == 1
    events = re.search(r"```lua\n(events = .*?)```", text, re.S).group(1)
    s = site({"farm": ("farm", "s")}, **{"plugins/providers/farm.lua": examples[0], "plugins/providers/other.lua":
                                        f'provider "other" {{ kind = "none", event = "const:x", {events} }}\n'})
    assert s.cli("check", s.site, env=s.secrets)[0] == 0


def test_a_key_pair_made_as_documented_signs_for_discord():
    place = folder()
    lines = re.search(r"```sh\n(openssl genpkey.*?)pushrod simulate", documented(), re.S).group(1)
    public = subprocess.run(["sh", "-euc", lines], cwd=place, check=True, capture_output=True, text=True).stdout
    s = site({"discord": ("discord", public)})
    assert "204" in simulate(s, "discord", "ping", "--private-key", os.path.join(place, "key.pem"))
