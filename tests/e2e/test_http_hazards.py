"""What libh2o 2.2.5 would let through, on raw sockets (facts: section 3 of its sheet)."""
import json
import os
import resource
import socket
import subprocess
import time

from lib import CONFIG, Repository, Server, sign, wait

ASAN_TOO = True
RULE = {"rules/a.lua": 'rule "a" { on = "push", when = "always", run = function(job) end }'}


def talk(server, data, of="pages", seconds=5.0, shut=False):
    """Send DATA, and read until the server closes or is silent."""
    c = socket.create_connection(("127.0.0.1", server.port(of)), timeout=seconds)
    c.sendall(data)
    if shut:
        c.shutdown(socket.SHUT_WR)
    out = b""
    try:
        while True:
            piece = c.recv(65536)
            if not piece:
                return out, True
            out += piece
    except (TimeoutError, ConnectionResetError):
        return out, False
    finally:
        c.close()


def replies(data):
    return data.count(b"HTTP/1.1 ")


def test_conflicting_lengths_never_run_the_tail():
    s = Server(RULE)
    tail = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for head in (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                 b"Content-Length: 4\r\nContent-Length: 60\r\n"):
        body = b"0\r\n\r\n" if b"chunked" in head else b"abcd"
        out, _ = talk(s, b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n" + body + tail, "hooks", 2)
        assert replies(out) == 1 and b'"version"' not in out, (head, out)


def test_what_follows_a_well_framed_body_is_a_request_of_its_own():
    s = Server(RULE)
    out, _ = talk(s, b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
                     b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "hooks", 3)
    assert out.startswith(b"HTTP/1.1 401") and replies(out) in (1, 2), out


def test_http2_is_refused_by_preface_and_by_upgrade():
    s = Server(RULE)
    out, closed = talk(s, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", seconds=3)
    assert closed and not out.startswith(b"\0"), out
    out, _ = talk(s, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", seconds=2)
    assert b" 101 " not in out and out.startswith(b"HTTP/1.1 200"), out


def test_folded_headers_are_refused():
    s = Server(RULE)
    out, _ = talk(s, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n", seconds=3)
    assert b"HTTP/1.1 400" in out, out


def test_a_foreign_host_is_refused_on_the_pages_and_the_api():
    s = Server(RULE)
    out, _ = talk(s, b"GET /api/v1/status HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n")
    assert b"200 OK" not in out and b'"version"' not in out, out


def test_writes_need_the_control_socket():
    s = Server(RULE)
    status, _, _ = s.request("POST", "/api/v1/reload")
    assert status in (401, 403), status
    status, _, _ = s.request("POST", "/api/v1/jobs/1/cancel", headers={"Authorization": "Bearer " + "0" * 64})
    assert status in (401, 403), status
    c = socket.socket(socket.AF_UNIX)
    folder = os.open(s.state, os.O_PATH)        # the path itself may be longer than an address holds
    c.connect(f"/proc/self/fd/{folder}/control.sock")
    os.close(folder)
    c.sendall(b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert c.recv(100).split()[1] in (b"401", b"403")


def test_a_declared_length_over_the_bound_is_refused_at_once():
    s = Server(RULE)
    out, _ = talk(s, b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n", "hooks", 3)
    assert b"HTTP/1.1 413" in out, out
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    c = socket.create_connection(("127.0.0.1", s.port("hooks")), timeout=20)
    c.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        for _ in range(500):
            c.sendall(chunk)
        out = c.recv(4096)
    except (BrokenPipeError, ConnectionResetError):
        out = b"HTTP/1.1 413"
    assert not out or b"413" in out, out
    assert s.request("GET", "/livez")[0] == 200


def test_slow_heads_are_cut():
    s = Server({**RULE, "pushrod.lua": CONFIG.replace('{ { "127.0.0.1:0", serve = { "hooks", "pages" } } }',
                                                      '{ { "127.0.0.1:0", serve = { "hooks" } }, { "127.0.0.1:0", serve = { "pages" } } }')})
    start = time.monotonic()
    out, closed = talk(s, b"GET /livez HTTP/1.1\r\nHos", seconds=20)
    assert closed and time.monotonic() - start < 15, out


def test_connections_without_end_do_not_stop_the_others():
    s = Server(RULE, env={})
    idle = []
    try:
        for _ in range(900):
            idle.append(socket.create_connection(("127.0.0.1", s.port()), timeout=5))
    except OSError:
        pass
    assert len(idle) > 300
    body = Repository().push_body()
    assert s.deliver(body)[0] == 202
    for c in idle:
        c.close()


def test_expect_continue_and_head_and_unknown_methods():
    s = Server(RULE)
    body = Repository().push_body()
    c = socket.create_connection(("127.0.0.1", s.port("hooks")), timeout=5)
    c.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"
              b"X-GitHub-Delivery: e1\r\nX-Hub-Signature-256: " + sign(body).encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert b"100 Continue" in c.recv(1000)
    c.sendall(body)
    assert b" 202 " in c.recv(4096)
    status, headers, data = s.request("HEAD", "/")
    assert status == 200 and data == b""
    assert s.request("BREW", "/api/v1/jobs")[0] in (405, 501)


def test_a_browser_gets_a_page_where_there_is_none_and_a_program_json():
    s = Server()
    html = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    index = s.request("GET", "/", headers=html)
    for path in ("/nothing", "/jobs/none", "/index.htm"):
        status, headers, body = s.request("GET", path, headers=html)
        assert status == 404 and headers["content-type"].startswith("text/html") and body == index[2], (path, status, headers)
        assert headers["content-security-policy"] == index[1]["content-security-policy"] and headers["cache-control"] == "no-cache", headers
        status, _, _ = s.request("GET", path, headers=dict(html, **{"If-None-Match": index[1]["etag"]}))
        assert status == 404, "what is not there is not unchanged"
    for path, accept in (("/nothing", {}), ("/nothing", {"Accept": "application/json"}), ("/api/v1/nothing", html)):
        status, headers, body = s.request("GET", path, headers=accept)
        assert status == 404 and headers["content-type"] == "application/problem+json" and json.loads(body)["status"] == 404, (path, headers)
