"""source { allow }: from which addresses a source takes deliveries, and whose word about an address counts."""
import json
import uuid

from lib import SECRET, Server, sign, wait

ASAN_TOO = True
RULES = {"rules/r.lua": 'rule "all" { on = { "lan:*", "here:*", "github:push" }, when = "always", run = function(job) end }\n'}


def settings(proxies="", lan='"192.168.0.0/16", "2001:db8::/32"'):
    return f'''config {{ listen = {{ {{ "127.0.0.1:0", serve = {{ "hooks", "pages" }} }} }}, {proxies} }}
source "lan" {{ auth = "none", allow = {{ {lan} }} }}
source "here" {{ auth = "none", allow = {{ "127.0.0.0/8" }} }}
source "github" {{ provider = "github", secret = secret "github", allow = {{ "192.0.2.1" }} }}
'''


def post(s, source, forwarded=None, **headers):
    h = {"Content-Type": "application/json"} | headers
    if forwarded is not None:
        h["X-Forwarded-For"] = forwarded
    status, _, body = s.request("POST", f"/hooks/{source}", b"{}", h)
    return status, body.decode()


def test_only_allowed_addresses_send_and_a_stranger_says_nothing_of_his_own():
    s = Server(RULES | {"pushrod.lua": settings()})
    assert post(s, "here")[0] == 202
    status, body = post(s, "lan")
    assert status == 403 and json.loads(body)["detail"] == "this source takes no deliveries from this address", body
    assert "192.168" not in body and "127.0.0.1" not in body, "the reply names no network"
    assert post(s, "lan", "192.168.1.5")[0] == 403, "the peer is no proxy: what it says of itself is nothing"
    assert post(s, "here", "203.0.113.9")[0] == 202
    status = s.get("/api/v1/status")
    assert status["deliveries"] == 2 and [(r["source"], r["count"], r["status"], r["reason"]) for r in status["refused"]] == [
        ("lan", 2, 403, "address 127.0.0.1 is not in its allow")], status
    assert 'source=lan status=403 reason="address 127.0.0.1 is not in its allow"' in s.log()
    assert "address 127.0.0.1 is not in its allow (answered 403)" in s.cli("status", "--state", s.state)[1]


def test_of_a_proxy_of_ours_it_is_the_last_address_that_counts():
    s = Server(RULES | {"pushrod.lua": settings('proxies = { "127.0.0.1", "10.0.0.0/8" }')})
    for source, forwarded, want in (
            ("lan", "192.168.1.5", 202), ("lan", "203.0.113.9, 192.168.1.5", 202), ("lan", "192.168.1.5, 203.0.113.9", 403),
            ("lan", "192.168.1.5, 10.1.2.3", 202), ("lan", "192.168.1.5:4711", 202), ("lan", "[2001:db8::7]:4711", 202), ("lan", "2001:db8::7", 202),
            ("lan", "::ffff:192.168.1.5", 202), ("lan", "2001:db9::7", 403), ("lan", "unknown", 403), ("lan", "192.168.1.5, ", 403), ("lan", "192.168.0.0/16", 403),
            ("lan", "192.168.1.5, unknown", 403), ("lan", "unknown, 192.168.1.5", 202), ("lan", None, 403), ("here", None, 202), ("here", "203.0.113.9", 403)):
        status, body = post(s, source, forwarded)
        assert status == want, (source, forwarded, status, body)
    assert "proxy 127.0.0.1 names no address" in s.log() or "unsaid=" in s.log()
    s.write("pushrod.lua", settings('proxies = { "127.0.0.1" }', lan='"203.0.113.9"'))
    wait("the new list is in force", lambda: post(s, "lan", "203.0.113.9")[0] == 202)
    assert post(s, "lan", "192.168.1.5")[0] == 403


def test_an_allowed_address_proves_nothing():
    s = Server(RULES | {"pushrod.lua": settings('proxies = { "127.0.0.1" }')})
    body = b'{"ref":"refs/heads/main","repository":{"full_name":"a/b"},"after":"c1"}'
    for forwarded, secret, want in (("192.0.2.1", SECRET, 202), ("192.0.2.1", "other", 401), ("192.0.2.2", SECRET, 403), ("192.0.2.2", "other", 403)):
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": sign(body, secret),
                   "Content-Type": "application/json", "X-Forwarded-For": forwarded}
        assert s.request("POST", "/hooks/github", body, headers)[0] == want, (forwarded, secret)
    large = b'{"a":"' + b"x" * 400000 + b'"}'
    assert s.request("POST", "/hooks/lan", large, {"Content-Type": "application/json", "X-Forwarded-For": "203.0.113.9"})[0] == 403
    assert s.request("POST", "/hooks/lan", large, {"Content-Type": "application/json", "X-Forwarded-For": "192.168.1.5"})[0] == 202


def test_a_list_that_is_wrong_is_told_with_its_place():
    s = Server(RULES | {"pushrod.lua": settings('proxies = { "localhost" }', lan='"192.168.1.5/16", "10.0.0.0/33"')}, start=False)
    code, out, err = s.cli("check", s.site, "--without-secrets")
    said = out + err
    assert code == 1 and "pushrod.lua:1:84: error: proxies: 'localhost' is no network such as" in said, said
    assert 'pushrod.lua:2:41: warning: allow: "192.168.1.5/16" has bits behind its prefix, and means 192.168.0.0/16' in said, said
    assert "pushrod.lua:2:59: error: allow: '/33' is not from /0 to /32" in said, said
