"""Behind nginx, with the configuration that examples/ ships: TLS and HTTP/2 outside, streams unbuffered, no 5xx on a stream."""
import json
import os
import re
import socket
import subprocess
import time

from lib import CONFIG, ROOT, Parser, Repository, Server, folder, sign, wait

SLOW = '''rule "slow" { on = "push", when = "always",
  steps = { { "slow", sh = "for i in 1 2 3 4 5; do echo line-$i; sleep 0.4; done" } } }
'''


class Nginx:
    """The shipped server block with this test's ports and a certificate of its own; nothing else is changed."""

    def __init__(self, backend):
        self.dir = folder()
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{self.dir}/key.pem", "-out", f"{self.dir}/cert.pem"],
                       check=True, capture_output=True)
        text = open(os.path.join(ROOT, "examples/nginx.conf")).read()
        for old, new in ((r"127\.0\.0\.1:8787", f"127.0.0.1:{backend}"), (r"listen 8443", f"listen 127.0.0.1:{self.port}"),
                         (r"server_name \S+;", "server_name localhost;"), (r"/etc/ssl/certs/\S+;", f"{self.dir}/cert.pem;"),
                         (r"/etc/ssl/private/\S+;", f"{self.dir}/key.pem;")):
            text, n = re.subn(old, new, text)
            assert n == 1, (old, n)
        temp = "".join(f"{kind}_temp_path {self.dir}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{self.dir}/nginx.conf", "w") as f:
            f.write("user root;\n" if os.geteuid() == 0 else "")
            f.write(f"daemon off;\npid {self.dir}/pid;\nerror_log {self.dir}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temp}{text}}}\n")
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-e", f"{self.dir}/error.log", "-c", f"{self.dir}/nginx.conf"])
        wait("nginx listens", self.listens, 10)

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def curl(self, path, *args, timeout=30):
        out = subprocess.run(["curl", "-sS", "--http2", "--cacert", f"{self.dir}/cert.pem", *args, f"https://localhost:{self.port}{path}"],
                             capture_output=True, timeout=timeout)
        assert out.returncode == 0, out.stderr
        return out.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def server():
    return Server({"rules/r.lua": SLOW, "pushrod.lua": CONFIG.replace("config {", 'config { url = "https://localhost",')})


def test_a_push_and_its_live_log_pass_through_over_http2():
    s = server()
    with Nginx(s.port()) as proxy:
        body = Repository().push_body()
        head = ["-H", "Content-Type: application/json", "-H", "X-GitHub-Event: push", "-H", "X-GitHub-Delivery: n-1", "-H",
                f"X-Hub-Signature-256: {sign(body)}", "--data-binary", "@-"]
        out = subprocess.run(["curl", "-sS", "--http2", "-w", "\n%{http_version} %{http_code}", "--cacert", f"{proxy.dir}/cert.pem", *head,
                              f"https://localhost:{proxy.port}/hooks/github"], input=body, capture_output=True, timeout=30)
        answer, status = out.stdout.decode().rsplit("\n", 1)
        assert status == "2 202", (status, answer, out.stderr)
        matched = json.loads(answer)["matched"][0]
        assert matched["url"] == f"https://localhost/jobs/{matched['job']}"
        reading = subprocess.Popen(["curl", "-sSN", "--http2", "--cacert", f"{proxy.dir}/cert.pem",
                                    f"https://localhost:{proxy.port}/api/v1/jobs/{matched['job']}/events"], stdout=subprocess.PIPE)
        parser, lines = Parser(), []
        while chunk := os.read(reading.stdout.fileno(), 65536):
            for e in parser.feed(chunk):
                if e.type == "log":
                    lines += [(line, time.monotonic()) for line in json.loads(e.data)["l"]]
        reading.wait(10)
        assert [line for line, _ in lines] == [f"line-{i}" for i in range(1, 6)]
        assert lines[-1][1] - lines[0][1] > 0.8, "lines are passed on as they come, not in one piece at the end"


def test_a_body_of_24_mib_passes_and_a_page_says_its_content_security_policy():
    s = server()
    with Nginx(s.port()) as proxy:
        body = json.dumps({"ref": "refs/heads/x", "pad": "x" * (24 << 20)}).encode()
        with open(f"{proxy.dir}/body", "wb") as f:
            f.write(body)
        answer = proxy.curl("/hooks/github", "-H", "Content-Type: application/json", "-H", "X-GitHub-Event: push", "-H",
                            "X-GitHub-Delivery: n-2", "-H", f"X-Hub-Signature-256: {sign(body)}", "--data-binary", f"@{proxy.dir}/body")
        assert "delivery" in json.loads(answer), answer
        head = proxy.curl("/", "-D", "-", "-o", "/dev/null").decode().lower()
        assert head.startswith("http/2 200") and "content-security-policy:" in head, head


def test_a_stream_while_pushrod_is_away_is_told_to_come_again_and_never_a_5xx():
    s = server()
    port = s.port()
    with Nginx(port) as proxy:
        s.stop()
        head = proxy.curl("/api/v1/events", "-D", "-").decode()
        assert head.startswith("HTTP/2 200") and "text/event-stream" in head and "retry: 1500" in head, head
        assert proxy.curl("/api/v1/jobs", "-o", "/dev/null", "-w", "%{http_code}") == b"502"


def test_a_source_sees_the_address_that_nginx_saw():
    s = Server({"rules/r.lua": 'rule "r" { on = { "near:*", "far:*" }, when = "always", run = function(job) end }\n',
                "pushrod.lua": CONFIG.replace("config {", 'config { url = "https://localhost", proxies = { "127.0.0.1" },')
                + 'source "near" { auth = "none", allow = { "127.0.0.1" } }\nsource "far" { auth = "none", allow = { "203.0.113.9" } }\n'})
    with Nginx(s.port()) as n:
        for source, want in (("near", b"202"), ("far", b"403")):
            code = n.curl(f"/hooks/{source}", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-H",
                          "X-Forwarded-For: 203.0.113.9", "-d", "{}")
            assert code == want, (source, code)
