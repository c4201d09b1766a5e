"""Which files an event changed, asked of git itself: paths_from = "git", from a folder and from a host over https."""
import http.server
import json
import os
import re
import ssl
import subprocess
import threading

from lib import ROOT, Repository, Server, folder, git

ASAN_TOO = True

PATHS = '''
rule "docs" {
  on = { "push", "tag", "pull_request" }, when = { paths = { "docs/**", except = "docs/drafts/**" } }, paths_from = "git", forks = "trust",
  run = function(job) job:log(table.concat(job.event.paths, " ")) end,
}
rule "web" {
  on = { "push", "tag", "pull_request" }, when = "always", paths_from = "git", forks = "trust",
  matrix = { { part = "web", when = { paths = "web/**" } }, { part = "any", when = { none = { { paths = "web/**" } } } } },
  steps = { { "say", sh = "echo ran" } },
}
'''


def decided(s, answer):
    """{rule or cell: (state, lines or reason)} of an answer's jobs."""
    assert answer["matched"], answer
    out = {}
    for m in answer["matched"]:
        job = s.finished(m["job"])
        lines = [line for line in s.lines(m["job"]) if " files changed " not in line and not line.startswith("1 file changed ")]
        out[m.get("cell", m["rule"])] = (job["state"], " ".join(lines) if job["state"] == "succeeded" else job["reason"])
    return out


def test_paths_from_git_a_push_a_new_branch_and_a_force_push():
    s = Server({"rules/r.lua": PATHS})
    repo = Repository({"README": "hello\n", "docs/a.md": "a\n", "web/x": "x\n"})
    # The first push of the default branch brings all files.
    got = decided(s, s.push(repo))
    assert got["docs"] == ("succeeded", "README docs/a.md web/x"), got
    assert got["part=web"] == ("succeeded", "ran") and got["part=any"][0] == "skipped", got
    # A push: what lies between before and after, also where the payload's own list says more.
    before = git(repo.path, "rev-parse", "HEAD")
    repo.commit({"docs/b.md": "b\n", "src/c": "c\n"})
    repo.commit({"src/d": "d\n"})
    git(repo.path, "rm", "-q", "docs/b.md")
    git(repo.path, "commit", "-qm", "Not so")
    got = decided(s, s.push(repo, "--before", before))
    assert got["docs"] == ("skipped", 'no changed file matches paths: want "docs/**" except "docs/drafts/**", 2 changed'), got
    assert got["part=any"] == ("succeeded", "ran"), got
    # A new branch: since it left the default branch. A rename counts under both names.
    git(repo.path, "checkout", "-qb", "topic")
    git(repo.path, "mv", "docs/a.md", "web/a.md")
    git(repo.path, "commit", "-qm", "Move")
    repo.commit({"other": "1\n"})
    zero = "0" * 40
    got = decided(s, s.push(repo, "--branch", "topic", "--before", zero))
    assert got["docs"] == ("succeeded", "docs/a.md other web/a.md"), got
    assert got["part=web"] == ("succeeded", "ran") and "part=any" in got and got["part=any"][0] == "skipped", got
    # A branch that brings no commit changes nothing.
    git(repo.path, "branch", "same", "main")
    got = decided(s, s.push(repo, "--branch", "same", "--before", zero))
    assert got["docs"][0] == "skipped" and "0 changed" in got["docs"][1], got
    # A force push: the old commit is on no branch any more.
    old = git(repo.path, "rev-parse", "topic")
    git(repo.path, "reset", "-q", "--hard", "topic~2")
    repo.commit({"docs/new.md": "n\n"})
    body = json.loads(repo.push_body("--branch", "topic", "--before", old))
    body["forced"] = True
    status, answer = s.deliver(json.dumps(body).encode())
    assert status == 202, answer
    got = decided(s, answer)
    assert got["docs"] == ("succeeded", "docs/a.md docs/new.md other web/a.md"), got


def test_paths_from_git_a_force_push_whose_old_commit_is_gone():
    """Nothing is known then: the rule fires, and says so. (A file:// remote gives only what its branches and tags lead to.)"""
    s = Server({"rules/r.lua": PATHS})
    repo = Repository({"README": "hello\n"})
    old = repo.commit({"docs/gone.md": "x\n"})
    git(repo.path, "reset", "-q", "--hard", "HEAD~1")
    new = repo.commit({"src/x": "1\n"})
    body = json.loads(repo.push_body("--before", new + "^"))
    for before in (old, "1234567890" * 4):
        body.update(before=before, forced=True)
        status, answer = s.deliver(json.dumps(body).encode())
        job = next(m["job"] for m in answer["matched"] if m["rule"] == "docs")
        assert s.finished(job)["state"] == "failed", "its function reads the list that is not there"
        log = s.request("GET", f"/api/v1/jobs/{job}/log")[2].decode()
        assert "which files changed is not known: the commit before is gone" in log, log


def test_paths_from_git_tags():
    s = Server({"rules/r.lua": PATHS})
    repo = Repository({"docs/a.md": "a\n", "web/x": "x\n"})
    git(repo.path, "tag", "-a", "v1", "-m", "one")

    def tag(name, before):
        return decided(s, s.push(repo, "--ref", f"refs/tags/{name}", "--before", before, "--after", git(repo.path, "rev-parse", f"{name}^{{commit}}")))

    zero = "0" * 40
    assert tag("v1", zero)["docs"] == ("succeeded", "docs/a.md web/x"), "without an earlier tag: all files"
    repo.commit({"src/b": "b\n"})
    repo.commit({"src/c": "c\n"})
    git(repo.path, "tag", "v2")
    got = tag("v2", zero)
    assert got["docs"][0] == "skipped" and got["docs"][1].endswith("2 changed"), got
    old = git(repo.path, "rev-parse", "v2")
    repo.commit({"docs/d.md": "d\n"})
    git(repo.path, "tag", "-f", "v2")
    assert tag("v2", old)["docs"] == ("succeeded", "docs/d.md"), "a moved tag: since the commit before"


def pull_request_of(url, head):
    with open(os.path.join(ROOT, "tests/golden/github/pull_request_fork.json"), "rb") as f:
        body = json.load(f)
    body["repository"]["clone_url"] = body["pull_request"]["base"]["repo"]["clone_url"] = url
    body["pull_request"]["head"]["sha"] = head
    return body


def test_paths_from_git_a_pull_request():
    s = Server({"rules/r.lua": PATHS})
    repo = Repository({"README": "hello\n"})
    git(repo.path, "checkout", "-qb", "topic")
    head = repo.commit({"docs/a.md": "a\n"})
    git(repo.path, "update-ref", "refs/pull/7/head", head)
    git(repo.path, "checkout", "-q", "main")
    git(repo.path, "branch", "-qD", "topic")
    base = repo.commit({"web/later": "1\n"})
    body = pull_request_of("file://" + repo.path, head)
    for known in (base, "9" * 40):
        body["pull_request"]["base"]["sha"] = known
        status, answer = s.deliver(json.dumps(body).encode(), event="pull_request")
        assert status == 202, answer
        got = decided(s, answer)
        assert got["docs"] == ("succeeded", "docs/a.md"), "what main got meanwhile is not the request's"
        assert got["part=any"] == ("succeeded", "ran") and got["part=web"][0] == "skipped", got


def test_paths_from_git_a_repository_that_cannot_be_asked_fails_the_job():
    s = Server({"rules/r.lua": PATHS})
    repo = Repository({"docs/a.md": "a\n"})
    body = repo.push_body("--clone-url", "file:///nowhere/at/all")
    status, answer = s.deliver(body)
    job = s.finished(answer["matched"][0]["job"])
    assert job["state"] == "failed" and "nowhere" in job["reason"], job


ASKED = '''
rule "env" {
  on = "push", when = { paths = "*.c" }, paths_from = "git", env = { FILES = "<{paths}> of {branch}, {{paths} twice: {paths}" },
  steps = { { "say", env = { MINE = "{paths}" }, sh = [[printf '%s|%s' "$FILES" "$MINE" | tr '\n' ,]] } },
}
rule "filter" {
  on = "push", when = "always", paths_from = "git", filter = function(event) return #event.paths == 2, "paths: " .. #event.paths end,
  run = function(job) job:log(table.concat(job.event.paths, " ")) end,
}
rule "unknown" { on = "push", when = "always", paths_from = "git", env = { FILES = "<{paths}>" },
  run = function(job) job:sh([[echo "$FILES" ]] .. tostring(job.event.paths) .. " " .. table.concat(job.event.unknown or {}, " ")) end }
'''


def test_what_git_says_is_in_env_and_asked_by_the_filter():
    s = Server({"rules/r.lua": ASKED})
    repo = Repository()
    before = git(repo.path, "rev-parse", "HEAD")
    repo.commit({"a.c": "1\n", "b.c": "1\n"})
    # The payload's own list is another one: git's counts.
    body = json.loads(repo.push_body("--before", before))
    body["commits"][0]["added"] = ["stale.c"]
    got = decided(s, s.deliver(json.dumps(body).encode())[1])
    assert got["env"] == ("succeeded", "<a.c,b.c> of main, {paths} twice: a.c,b.c|a.c,b.c"), got
    assert got["filter"] == ("succeeded", "a.c b.c"), got
    before = git(repo.path, "rev-parse", "HEAD")
    repo.commit({"c.c": "1\n"})
    assert decided(s, s.push(repo, "--before", before))["filter"] == ("skipped", "paths: 1")
    # What is not known is not there, whatever the payload's list says.
    body["before"] = "1234567890" * 4
    job = next(m["job"] for m in s.deliver(json.dumps(body).encode())[1]["matched"] if m["rule"] == "unknown")
    assert s.finished(job)["state"] == "succeeded" and s.lines(job) == ["<> nil paths"], s.lines(job)


def test_fifty_thousand_changed_files_are_known_and_one_more_is_not():
    s = Server({"rules/r.lua": '''
rule "n" { on = "push", when = { paths = "d49/f999" }, paths_from = "git",
  run = function(job) job:log(tostring(job.event.paths and #job.event.paths)) end }
rule "env" { on = "push", when = { branch = "at" }, paths_from = "git", env = { FILES = "{paths}" }, steps = { { "say", sh = "echo" } } }'''})
    repo = Repository()
    first = git(repo.path, "rev-parse", "HEAD")

    def branch(name, n):
        files = "".join(f"M 100644 :1 d{i // 1000:02}/f{i % 1000}\n" for i in range(n))
        text = f"blob\nmark :1\ndata 1\nx\ncommit refs/heads/{name}\ncommitter a <a@b> 1700000000 +0000\ndata 1\nm\nfrom {first}\n{files}\n"
        subprocess.run(["git", "-C", repo.path, "fast-import", "--quiet"], input=text.encode(), check=True)
        return [s.finished(m["job"]) for m in s.push(repo, "--branch", name, "--before", first)["matched"]]

    known, env = branch("at", 50000)
    assert s.lines(known["id"]) == [f"50000 files changed since the commit before, {first[:12]}", "50000"]
    assert env["state"] == "failed" and "env FILES: the names of 50000 changed files, 444499 bytes, are more than" in env["reason"], env
    job = branch("past", 50001)[0]["id"]
    assert s.lines(job) == ["nil"], "it is not known whether it matches, so it runs"
    assert "which files changed is not known: more than 50000 files changed" in s.request("GET", f"/api/v1/jobs/{job}/log")[2].decode()


# ---- over https, as hosts give it ----

class Backend(http.server.BaseHTTPRequestHandler):
    """git http-backend, which is a CGI program."""
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        out = b""
        while size := int(self.rfile.readline(), 16):
            out += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return out

    def answer(self):
        body, (path, _, query) = self.body(), self.path.partition("?")
        self.server.wants += re.findall(r"want ([0-9a-f]{40})", body.decode("latin-1"))
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.server.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
               "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        out = subprocess.run(["git", "http-backend"], input=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


class GitHost(http.server.ThreadingHTTPServer):
    """A host with one repository, REPO's, under an authority of its own (CA). WANTS: the commits that were asked for."""
    daemon_threads = True

    def __init__(self, gives_any_commit=True):
        super().__init__(("127.0.0.1", 0), Backend)
        self.root, self.wants = folder(), []
        self.bare = os.path.join(self.root, "handbook.git")
        self.url = f"https://localhost:{self.server_port}/handbook.git"
        self.repo = Repository()
        git(self.root, "init", "-q", "--bare", "-b", "main", self.bare)
        git(self.bare, "config", "uploadpack.allowAnySHA1InWant", "true" if gives_any_commit else "false")
        self.ca, key = os.path.join(self.root, "ca.pem"), os.path.join(self.root, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.ca], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass                                    # a client that went

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.shutdown()
        self.server_close()

    def has(self, *refs):
        """Push REFS there, whatever they replace."""
        git(self.repo.path, "push", "-q", "--force", self.bare, *refs)

    def push(self, s, *args, **more):
        """The webhook of a push; MORE goes into its body."""
        body = json.loads(self.repo.push_body("--clone-url", self.url, *args))
        body.update(more)
        status, answer = s.deliver(json.dumps(body).encode())
        assert status == 202, answer
        return answer


ZERO = "0" * 40


def test_over_https_a_push_a_new_branch_and_a_tag():
    with GitHost() as host:
        s, repo = Server({"rules/r.lua": PATHS}, env={"SSL_CERT_FILE": host.ca}), host.repo
        repo.commit({"docs/a.md": "a\n", "web/x": "x\n"})
        host.has("main")
        got = decided(s, host.push(s, "--before", ZERO, created=True))
        assert got["docs"] == ("succeeded", "README docs/a.md web/x"), got
        before = git(repo.path, "rev-parse", "main")
        repo.commit({"src/b": "b\n"})
        repo.commit({"docs/b.md": "b\n"})
        host.has("main")
        got = decided(s, host.push(s, "--before", before, commits=[]))
        assert got["docs"] == ("succeeded", "docs/b.md src/b"), got
        assert got["part=any"] == ("succeeded", "ran") and got["part=web"][0] == "skipped", got
        git(repo.path, "tag", "-a", "v1", "-m", "one", before)
        git(repo.path, "tag", "v2")
        git(repo.path, "checkout", "-qb", "topic", before)
        repo.commit({"web/y": "y\n"})
        host.has("topic", "v1", "v2")
        got = decided(s, host.push(s, "--branch", "topic", "--before", ZERO, created=True))
        assert got["docs"] == ("skipped", 'no changed file matches paths: want "docs/**" except "docs/drafts/**", 1 changed'), got
        assert got["part=web"] == ("succeeded", "ran"), got
        got = decided(s, host.push(s, "--ref", "refs/tags/v2", "--before", ZERO, "--after", git(repo.path, "rev-parse", "main"), created=True))
        assert got["docs"] == ("succeeded", "docs/b.md src/b"), got


def test_over_https_a_force_push_is_compared_with_a_commit_that_no_branch_holds_any_more():
    with GitHost() as host:
        s, repo = Server({"rules/r.lua": PATHS}, env={"SSL_CERT_FILE": host.ca}), host.repo
        old = repo.commit({"docs/gone.md": "x\n", "src/x": "1\n"})
        host.has("main")
        git(repo.path, "reset", "-q", "--hard", "HEAD~1")
        repo.commit({"src/x": "2\n"})
        host.has("main")
        got = decided(s, host.push(s, "--before", old, forced=True))
        assert got["docs"] == ("succeeded", "docs/gone.md src/x"), got
        assert old in host.wants, "it was fetched by its id: no branch leads to it"
        asked = host.wants.count(old)
        decided(s, host.push(s, "--before", old, forced=True))
        assert host.wants.count(old) == asked, "what the mirror holds is not fetched again"


def test_over_https_a_host_that_does_not_give_the_commit_before():
    with GitHost(gives_any_commit=False) as host:
        s, repo = Server({"rules/r.lua": PATHS}, env={"SSL_CERT_FILE": host.ca}), host.repo
        old = repo.commit({"docs/gone.md": "x\n"})
        host.has("main")
        git(repo.path, "reset", "-q", "--hard", "HEAD~1")
        repo.commit({"src/x": "2\n"})
        host.has("main")
        jobs = {m.get("cell", m["rule"]): m["job"] for m in host.push(s, "--before", old, forced=True)["matched"]}
        for job in jobs.values():
            state = s.finished(job)["state"]
            assert state == ("failed" if job == jobs["docs"] else "succeeded"), "each fires; docs reads the list that is not there"
            log = s.request("GET", f"/api/v1/jobs/{job}/log")[2].decode()
            assert "which files changed is not known: the commit before is gone, and the host does not give it" in log, log


def test_over_https_a_pull_request():
    with GitHost() as host:
        s, repo = Server({"rules/r.lua": PATHS}, env={"SSL_CERT_FILE": host.ca}), host.repo
        git(repo.path, "checkout", "-qb", "topic")
        head = repo.commit({"docs/a.md": "a\n"})
        git(repo.path, "checkout", "-q", "main")
        base = repo.commit({"web/later": "1\n"})
        host.has("main", "topic:refs/pull/7/head")
        body = pull_request_of(host.url, head)
        for known in (base, "9" * 40):
            body["pull_request"]["base"]["sha"] = known
            status, answer = s.deliver(json.dumps(body).encode(), event="pull_request")
            assert status == 202, answer
            got = decided(s, answer)
            assert got["docs"] == ("succeeded", "docs/a.md"), got
            assert got["part=any"] == ("succeeded", "ran") and got["part=web"][0] == "skipped", got


def test_over_https_a_host_of_an_unknown_authority_is_refused():
    with GitHost() as host:
        s = Server({"rules/r.lua": PATHS})
        host.has("main")
        job = s.finished(host.push(s, "--before", ZERO, created=True)["matched"][0]["job"])
        assert job["state"] == "failed" and f"fetch from {host.url}" in job["reason"] and "certificate" in job["reason"], job
        s = Server({"rules/r.lua": PATHS}, env={"SSL_CERT_FILE": os.path.join(host.root, "no-such.pem")})
        job = s.finished(host.push(s, "--before", ZERO, created=True)["matched"][0]["job"])
        assert job["state"] == "failed" and "SSL_CERT_FILE='" in job["reason"] and "no-such.pem' cannot be used" in job["reason"], job
        assert not host.wants
