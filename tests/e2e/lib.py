"""What the end-to-end tests share: a real server in a folder of its own, real repositories, a spec-true reader of streams."""
import atexit
import base64
import glob
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET = "It's a Secret to Everybody"
_binary, _env, _servers, _folders = None, {}, [], []

CONFIG = '''config { listen = { { "127.0.0.1:0", serve = { "hooks", "pages" } } }, jobs = { file_urls = true, timeout = "60s" } }
source "github" { provider = "github", secret = secret "github" }
'''


def use(binary, env):
    """Which binary the tests run from here on."""
    global _binary, _env
    _binary, _env = binary, env


def binary():
    return _binary


def after_test():
    """Stop what a test left running. Returns what went wrong that the test itself could not see."""
    errors = []
    for s in list(_servers):
        if s.stop():
            errors.append(s.stop_error)
        for text in s.sanitizer_reports():
            errors.append(text)
    _servers.clear()
    for f in _folders:
        shutil.rmtree(f, ignore_errors=True)
    _folders.clear()
    return "\n".join(e for e in errors if e)


def folder():
    path = tempfile.mkdtemp(prefix="pushrod-test-")
    _folders.append(path)
    return path


def wait(what, condition, seconds=20.0):
    """Until CONDITION is true; polling is for what has no event to wait for."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TERM", "TMPDIR")}
    env.update(_env)
    env.update({"PUSHROD_SECRET_GITHUB": SECRET, "NO_COLOR": "1"})
    env.update(extra or {})
    return env


# ---- repositories ----

def git(repo, *args):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", GIT_AUTHOR_NAME="Ada Lovelace",
               GIT_AUTHOR_EMAIL="ada@example.org", GIT_COMMITTER_NAME="Ada Lovelace", GIT_COMMITTER_EMAIL="ada@example.org")
    return subprocess.run(["git", "-C", repo, *args], check=True, env=env, capture_output=True, text=True).stdout.strip()


class Repository:
    def __init__(self, files=None):
        self.path = os.path.join(folder(), "repo")
        os.makedirs(self.path)
        git(self.path, "init", "-q", "-b", "main")
        self.commit(files or {"README": "hello\n"}, "Begin")

    def commit(self, files, message="Change"):
        for name, text in files.items():
            full = os.path.join(self.path, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-qm", message)
        return git(self.path, "rev-parse", "HEAD")

    def push_body(self, *args):
        """What GitHub would POST for the newest commit."""
        return subprocess.run([sys.executable, os.path.join(ROOT, "tests/tools/github_push.py"), self.path, *args],
                              check=True, capture_output=True).stdout


def sign(body, secret=SECRET):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# ---- the server ----

class Server:
    """`pushrod serve` on a folder of FILES (name -> text), or on a copy of an example."""

    def __init__(self, files=None, example=None, args=(), env=None, start=True):
        self.home = folder()
        self.site = os.path.join(self.home, "site")
        self.state = os.path.join(self.home, "state")
        if example:
            shutil.copytree(os.path.join(ROOT, "examples", example), self.site)
        else:
            os.makedirs(os.path.join(self.site, "rules"))
            self.write("pushrod.lua", CONFIG)
        for name, text in (files or {}).items():
            self.write(name, text)
        self.args, self.env = list(args), dict(env or {})
        self.process = None
        self.stop_error = ""
        self.log_path = os.path.join(self.home, "log")
        if start:
            self.start()

    def write(self, name, text):
        path = os.path.join(self.site, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def command(self):
        return [_binary, "serve", self.site, "--state", self.state, *self.args]

    def start(self, expect=True):
        env = environment(self.env)
        for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if key in env:
                env[key] += f":log_path={self.home}/sanitizer"
        ready = os.path.join(self.state, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        _servers.append(self)
        if not expect:
            return self
        try:
            wait("the server is ready", lambda: os.path.exists(ready) or self.process.poll() is not None, 30)
        except AssertionError:
            raise AssertionError("the server did not become ready:\n" + self.log()) from None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def addresses(self):
        """[(classes, host, port)] of STATE/listen: `hooks pages http://127.0.0.1:PORT`."""
        out = []
        with open(os.path.join(self.state, "listen"), encoding="utf-8") as f:
            for line in f:
                *classes, url = line.split()
                host, port = url.split("//")[1].rsplit(":", 1)
                out.append((classes, host, int(port)))
        return out

    def port(self, of="pages"):
        return next(port for classes, _, port in self.addresses() if of in classes)

    def url(self):
        return f"http://127.0.0.1:{self.port()}"

    def stop(self, sig=signal.SIGTERM, timeout=60):
        """Ends it; true where it had to be killed or left something behind."""
        self.stop_error = ""
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.stop_error = f"the server did not stop within {timeout} s of signal {sig}:\n{self.log()[-4000:]}"
        return bool(self.stop_error)

    def sanitizer_reports(self):
        out = []
        for path in glob.glob(os.path.join(self.home, "sanitizer.*")):
            with open(path, errors="replace") as f:
                out.append(f.read())
        return out

    def roles(self):
        """{"front": pid, "runner": pid} of this server's children."""
        out = {}
        for line in subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout.splitlines():
            pid, args = line.strip().split(None, 1)
            for role in ("front", "runner"):
                if f"@{role}" in args or f"pushrod: {role}" in args:
                    out[role] = int(pid)
        return out

    # ---- talking to it ----

    def request(self, method, path, body=None, headers=None, timeout=30):
        c = http.client.HTTPConnection("127.0.0.1", self.port("hooks" if path.startswith("/hooks") else "pages"), timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read()
        finally:
            c.close()

    def get(self, path, headers=None):
        status, _, body = self.request("GET", path, headers=headers)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def deliver(self, body, event="push", delivery=None, secret=SECRET, source="github", headers=None, kind="application/json"):
        """POST a webhook as GitHub does. Returns (status, answer)."""
        h = {"Content-Type": kind, "User-Agent": "GitHub-Hookshot/9f1c2d4", "X-GitHub-Event": event,
             "X-GitHub-Delivery": delivery or str(uuid.uuid4()), "X-GitHub-Hook-ID": "1", "Accept": "*/*"}
        if secret is not None:
            h["X-Hub-Signature-256"] = sign(body, secret)
        h.update(headers or {})
        h = {k: v for k, v in h.items() if v is not None}
        status, _, answer = self.request("POST", f"/hooks/{source}", body, h)
        try:
            return status, json.loads(answer) if answer else None
        except ValueError:
            return status, answer               # the HTTP library's own words

    def push(self, repo, *args, **kw):
        """Deliver REPO's newest commit; returns the answer, which must be a 202."""
        status, answer = self.deliver(repo.push_body(*args), **kw)
        assert status == 202, (status, answer)
        return answer

    def job(self, number):
        return self.get(f"/api/v1/jobs/{number}")

    def finished(self, number, seconds=60):
        """The job once it is final, learnt from its stream."""
        stream = Stream(self, f"/api/v1/jobs/{number}/events", seconds=seconds)
        for event in stream:
            if event.type == "end":
                return json.loads(event.data)
        raise AssertionError(f"the stream of job {number} ended without its end")

    def lines(self, number):
        """The job's log lines, by its stream from the beginning."""
        out = []
        for event in Stream(self, f"/api/v1/jobs/{number}/events"):
            if event.type == "log":
                out += json.loads(event.data)["l"]
            if event.type == "end":
                return out
        raise AssertionError("no end")

    def cli(self, *args, timeout=60, env=None, stdin=None):
        p = subprocess.run([_binary, *args], capture_output=True, text=True, timeout=timeout, input=stdin,
                           env=environment(dict({"PUSHROD_STATE": self.state}, **(env or {}))))
        return p.returncode, p.stdout, p.stderr


# ---- server-sent events, by the standard's own algorithm (WHATWG HTML 9.2.5 and 9.2.6) ----

class Event:
    def __init__(self, type, data, id):
        self.type, self.data, self.id = type, data, id

    def __repr__(self):
        return f"Event({self.type!r}, {self.data!r}, {self.id!r})"


class Parser:
    def __init__(self):
        self.buffer = b""
        self.begun = False
        self.last_id = ""
        self.retry = None
        self._reset()

    def _reset(self):
        self.data, self.type, self.id = [], "", self.last_id

    def feed(self, bytes_):
        """Events completed by these bytes."""
        self.buffer += bytes_
        if not self.begun and len(self.buffer) >= 3:
            self.begun = True
            if self.buffer.startswith(b"\xef\xbb\xbf"):
                self.buffer = self.buffer[3:]
        out = []
        while True:
            ends = [i for i in (self.buffer.find(b"\n"), self.buffer.find(b"\r")) if i >= 0]
            if not ends:
                return out
            at = min(ends)
            if self.buffer[at:at + 1] == b"\r":
                if at + 1 == len(self.buffer):
                    return out                  # a LF may follow
                width = 2 if self.buffer[at + 1:at + 2] == b"\n" else 1
            else:
                width = 1
            line, self.buffer = self.buffer[:at], self.buffer[at + width:]
            event = self._line(line.decode("utf-8"))        # strict: the server promises UTF-8
            if event:
                out.append(event)

    def _line(self, line):
        if line == "":
            self.last_id = self.id
            event = Event(self.type or "message", "\n".join(self.data), self.last_id) if self.data else None
            self._reset()
            return event
        if line.startswith(":"):
            return None
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "data":
            self.data.append(value)
        elif field == "event":
            self.type = value
        elif field == "id" and "\0" not in value:
            self.id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None


class Stream:
    """One connection to a stream. Iterate for events; .parser.last_id is the position."""

    def __init__(self, server, path, last_id=None, seconds=60, headers=None, port=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port or server.port(), timeout=seconds)
        h = {"Accept": "text/event-stream"}
        if last_id:
            h["Last-Event-ID"] = last_id
        h.update(headers or {})
        self.connection.request("GET", path, headers=h)
        self.reply = self.connection.getresponse()
        self.status = self.reply.status
        self.headers = {k.lower(): v for k, v in self.reply.getheaders()}
        self.parser = Parser()
        self.raw = b""

    def __iter__(self):
        while True:
            piece = self.reply.read1(65536)
            if not piece:
                return
            self.raw += piece
            yield from self.parser.feed(piece)

    def until(self, type_):
        events = []
        for e in self:
            events.append(e)
            if e.type == type_:
                return events
        raise AssertionError(f"the stream ended before {type_}: {events}")

    def close(self):
        if self.reply.fp:
            self.reply.fp.close()
        self.connection.close()
