#!/usr/bin/env python3
"""./dev demo: a real server, a real repository, a push the way GitHub sends it, and the job's log as it grows."""
import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def say(text):
    print(f"\033[1m{text}\033[0m" if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def git(repo, *args):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", GIT_AUTHOR_NAME="Ada Lovelace",
               GIT_AUTHOR_EMAIL="ada@example.org", GIT_COMMITTER_NAME="Ada Lovelace", GIT_COMMITTER_EMAIL="ada@example.org")
    subprocess.run(["git", "-C", repo, *args], check=True, env=env, stdout=subprocess.DEVNULL)


def make_repository(path):
    """Two commits: a program, and the change that is pushed."""
    os.makedirs(path)
    git(path, "init", "-q", "-b", "main")
    with open(os.path.join(path, "README"), "w", encoding="utf-8") as f:
        f.write("The engine notes of the handbook.\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "Begin the handbook")
    with open(os.path.join(path, "test.sh"), "w", encoding="utf-8") as f:
        f.write("for n in 1 2 3 4 5 6 7 8; do\n\tprintf 'test %s: \\033[32mok\\033[0m\\n' $n\n\tsleep 0.2\ndone\n"
                "echo \"$(wc -c <README) bytes of README checked\"\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "Test the handbook")


def free_port(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def wait_for(path, server):
    """The server writes its addresses to STATE/listen once it serves."""
    for _ in range(600):
        if os.path.exists(path):
            return
        if server.poll() is not None:
            sys.exit(f"demo: the server ended with {server.returncode}")
        time.sleep(0.05)
    sys.exit("demo: the server did not start within 30 s")


def main():
    pushrod, once = os.path.abspath(sys.argv[1]), sys.argv[2] == "1"
    work = tempfile.mkdtemp(prefix="pushrod-demo-")
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    repo, state, site = (os.path.join(work, d) for d in ("handbook", "state", "site"))
    shutil.copytree(os.path.join(ROOT, "examples/quickstart"), site)
    make_repository(repo)

    env = dict(os.environ, PUSHROD_SECRET_GITHUB=secrets.token_hex(20))
    listen = f"127.0.0.1:{free_port(8787)}"
    server = subprocess.Popen([pushrod, "serve", site, "--state", state, "--listen", listen], env=env)

    def stop():
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    atexit.register(stop)
    wait_for(os.path.join(state, "ready"), server)

    payload = subprocess.run([sys.executable, os.path.join(ROOT, "tests/tools/github_push.py"), repo],
                             check=True, capture_output=True).stdout
    with open(os.path.join(work, "push.json"), "wb") as f:
        f.write(payload)
    say("\nsending a signed push, as GitHub does")
    subprocess.run([pushrod, "simulate", "github", "push", "--site", site, "--state", state, "--file", f.name],
                   check=True, env=env)
    say("\nits job, as it runs (the page above shows the same):")
    result = subprocess.run([pushrod, "watch", "1", "--state", state], env=env).returncode
    if once:
        return result
    say("\nstill serving; Ctrl-C ends it")
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
