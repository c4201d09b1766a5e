#!/usr/bin/env python3
"""The benchmarks: ./dev bench [NAME…]. Peers and limits run beside us, in the same run, on the same machine; what counts is the ratio.

Loads go to 127.0.0.1 alone, are bounded in count and time, and stop by themselves.
"""
import http.client
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path[:0] = [os.path.join(ROOT, "tests/e2e"), os.path.join(ROOT, "tests")]
sys.dont_write_bytecode = True
import lib      # noqa: E402
import run      # noqa: E402

SECONDS = float(os.environ.get("PUSHROD_BENCH_SECONDS", "6"))
rows = []


def row(what, ours, against, ratio, aim, unit=""):
    rows.append((what, ours, against, ratio, aim))
    print(f"{what}: {ours} {unit}; against {against}; ratio {ratio}; aim {aim}", flush=True)


def build():
    directory = "build/release"
    if not os.path.exists(f"{directory}/build.ninja"):
        subprocess.run(["meson", "setup", directory, "--buildtype=release", "-Dtests=disabled"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", directory], check=True, stdout=subprocess.DEVNULL)
    bench = "build/bench"
    if not os.path.exists(f"{bench}/build.ninja"):
        subprocess.run(["meson", "setup", bench, "--buildtype=release", "-Dtests=enabled"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", bench, "benches"], check=True, stdout=subprocess.DEVNULL)
    return os.path.abspath(f"{directory}/pushrod"), os.path.abspath(bench + "/tests/bench")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


def push_of(size):
    """A push of about SIZE bytes, as GitHub sends it."""
    body = json.loads(lib.Repository().push_body("--branch", "main"))
    extra = {"id": "0" * 40, "message": "x", "added": [], "removed": [], "modified": []}
    while len(json.dumps(body)) < size:
        body["commits"].append(dict(extra, message="Change something, said in a line of the usual length", modified=[f"src/{random.random()}.c"]))
    return json.dumps(body).encode()


def wrk(port, path, body, connections):
    """Requests per second and p99 by wrk, a new delivery id for each request."""
    script = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
    with script as f, open(f.name + ".body", "wb") as b:
        b.write(body)
        f.write(f'''
local body = io.open("{f.name}.body", "rb"):read("a")
local thread = 0
function setup(t) thread = thread + 1; t:set("number", thread) end
local n, run = 0, "{uuid.uuid4()}"
function request()
  n = n + 1
  return wrk.format("POST", "{path}", {{ ["Content-Type"] = "application/json", ["X-GitHub-Event"] = "push", ["X-Hub-Signature-256"] = "{lib.sign(body)}",
    ["X-GitHub-Delivery"] = run .. number .. "-" .. n, ["Host"] = "127.0.0.1" }}, body)
end
function done(summary, latency)
  io.write(string.format("RESULT %f %d %f %f\\n", summary.requests / (summary.duration / 1e6), summary.errors.status, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
''')
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{int(SECONDS)}s", "-s", script.name, f"http://127.0.0.1:{port}"],
                         capture_output=True, text=True).stdout
    os.unlink(script.name)
    os.unlink(script.name + ".body")
    result = [line for line in out.splitlines() if line.startswith("RESULT")][0].split()
    return float(result[1]), int(result[2]), float(result[3]), float(result[4])


def bench_ingest(binary, benches):
    body = push_of(7000)
    s = lib.Server({"rules/r.lua": 'rule "r" { on = "push", when = { branch = "never" }, run = function(job) end }'})
    ours, bad, p50, p99 = wrk(s.port("hooks"), "/hooks/github", body, 64)
    assert not bad, f"{bad} answers were no 2xx"
    stored = s.get("/api/v1/status")["deliveries"]
    assert stored >= ours * SECONDS * 0.8, (stored, ours)
    s.stop()
    port = free_port()
    hooks = os.path.join(lib.folder(), "hooks.json")
    with open(hooks, "w", encoding="utf-8") as f:
        json.dump([{"id": "github", "execute-command": "/bin/true", "trigger-rule": {"and": [
            {"match": {"type": "payload-hmac-sha256", "secret": lib.SECRET, "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}},
            {"match": {"type": "value", "value": "refs/heads/never", "parameter": {"source": "payload", "name": "ref"}}}]}}], f)
    peer = subprocess.Popen(["webhook", "-hooks", hooks, "-ip", "127.0.0.1", "-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_port(port)
    theirs = wrk(port, "/hooks/github", body, 64)[0]
    peer.kill()
    port = free_port()
    bare = subprocess.Popen([f"{benches}/bare_h2o", str(port), lib.SECRET])
    wait_port(port)
    limit = wrk(port, "/hooks/github", body, 64)[0]
    bare.kill()
    row("signed 7 KB push to durable 202", f"{ours:.0f}/s (p50 {p50:.1f} ms, p99 {p99:.1f} ms)", f"webhook {theirs:.0f}/s, nothing stored", f"{ours / theirs:.1f}", ">= 10")
    row("the same", f"{ours:.0f}/s", f"bare h2o with HMAC {limit:.0f}/s, no disk", f"{ours / limit:.2f}", ">= 0.5")


def first_line(s, body):
    """Milliseconds from sending the POST, and from its answer, to the first log line at a watcher."""
    start = time.perf_counter()
    status, answer = s.deliver(body)
    answered = time.perf_counter()
    job = answer["matched"][0]["job"]
    stream = lib.Stream(s, f"/api/v1/jobs/{job}/events")
    for e in stream:
        if e.type == "log":
            now = time.perf_counter()
            break
    stream.close()
    s.finished(job)
    return (now - start) * 1000, (now - answered) * 1000


def bench_latency(binary, benches):
    s = lib.Server({"rules/r.lua": 'rule "r" { on = "push", when = { branch = "main" }, run = function(job) job:log("first") end }'})
    body = push_of(7000)
    first_line(s, body)
    both = [first_line(s, body) for _ in range(200)]
    whole = sorted(a for a, _ in both)
    start = sorted(b for _, b in both)
    spawns = []
    for _ in range(200):
        t = time.perf_counter()
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        spawns.append((time.perf_counter() - t) * 1000)
    true = statistics.median(spawns)
    row("POST to first log line at a watcher", f"p50 {whole[100]:.1f} ms, p99 {whole[197]:.1f} ms", "-", "-", "<= 3 / <= 15 ms")
    row("202 to first Lua line at a watcher", f"p50 {start[100]:.2f} ms", f"fork+exec of /bin/true {true:.2f} ms", f"{start[100] / true:.2f}", "<= 1.5")


def receive_all(port, request):
    """Seconds and bytes of one reply."""
    c = socket.create_connection(("127.0.0.1", port))
    c.sendall(request)
    start, total, buffer = time.perf_counter(), 0, bytearray(1 << 20)
    while True:
        n = c.recv_into(buffer)
        if not n:
            return time.perf_counter() - start, total
        total += n


def bench_replay(binary, benches):
    s = lib.Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", steps = { { "x", sh = "seq -f \'line %g of a log that says something of the usual length\' 1000000" } } }'})
    job = s.push(lib.Repository())["matched"][0]["job"]
    assert s.finished(job, 120)["state"] == "succeeded"
    path = f"/api/v1/jobs/{job}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    receive_all(s.port(), request)
    ours = min(receive_all(s.port(), request) for _ in range(5))
    folder = lib.folder()
    shutil.copy(os.path.join(s.state, "journals", f"{job}.1"), os.path.join(folder, "log"))
    port = free_port()
    with open(os.path.join(folder, "nginx.conf"), "w", encoding="utf-8") as f:
        f.write(f"worker_processes 1; pid {folder}/pid; error_log {folder}/err; daemon off;\nevents {{}}\nhttp {{ access_log off; sendfile on; "
                f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n")
    os.chmod(folder, 0o755)
    os.chmod(os.path.join(folder, "log"), 0o644)
    nginx = subprocess.Popen(["nginx", "-c", os.path.join(folder, "nginx.conf"), "-p", folder, "-g", "user root;"], stderr=subprocess.DEVNULL)
    wait_port(port)
    request = b"GET /log HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    receive_all(port, request)
    theirs = min(receive_all(port, request) for _ in range(5))
    nginx.terminate()
    a, b = ours[1] / ours[0] / 1e6, theirs[1] / theirs[0] / 1e6
    row("replay of a 1M-line log over SSE", f"{a:.0f} MB/s ({ours[1] >> 20} MiB)", f"nginx, the same bytes as a file, {b:.0f} MB/s", f"{a / b:.2f}", ">= 0.5")


def peak_rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    return 0


def bench_gigabyte(binary, benches):
    script = "yes " + "y" * 79 + " | head -c 1000000000"
    s = lib.Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", steps = { { "x", sh = "%s" } } }' % script})
    copy = os.path.join(lib.folder(), "copy")
    try:
        job = s.push(lib.Repository())["matched"][0]["job"]
        peak, roles = {}, s.roles()
        done = threading.Event()

        def sample():
            while not done.is_set():
                for p in lib.subprocess.run(["pgrep", "-P", str(roles["runner"])], capture_output=True, text=True).stdout.split():
                    try:
                        peak["job"] = max(peak.get("job", 0), peak_rss(p))
                    except OSError:
                        pass
                time.sleep(0.05)
        t = threading.Thread(target=sample)
        t.start()
        lib.wait("the job's end", lambda: s.job(job)["ended_ms"], 300)
        end = s.job(job)
        done.set()
        t.join()
        assert end["state"] == "succeeded", end
        seconds = (end["ended_ms"] - end["started_ms"]) / 1000
        front = peak_rss(roles["front"])
        start = time.perf_counter()
        subprocess.run(f"{script} | cat >{copy}", shell=True, check=True)
        cat = time.perf_counter() - start
    finally:
        if os.path.exists(copy):
            os.unlink(copy)
    row("a step that prints 1 GB", f"{1000 / seconds:.0f} MB/s (job {peak.get('job', 0) >> 10} MiB, front {front >> 10} MiB at most)",
        f"cat through a pipe to a file {1000 / cat:.0f} MB/s", f"{cat / seconds:.2f}", ">= 0.3, flat")


def bench_rest(binary, benches):
    s = lib.Server({"rules/r.lua": 'rule "r" { on = "push", when = "always", run = function(job) end }'})
    time.sleep(2)
    total = pss = 0
    for pid in [s.process.pid, *s.roles().values()]:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith("Rss:"):
                    total += int(line.split()[1])
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])

    def switches():
        n = 0
        for pid in [s.process.pid, *s.roles().values()]:
            for t in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{t}/status", encoding="ascii") as f:
                    n += sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
        return n
    before = switches()
    time.sleep(5)
    wakes = (switches() - before) / 5
    row("the whole service at rest", f"{total / 1024:.1f} MiB RSS, {pss / 1024:.1f} MiB PSS, {wakes:.1f} wake-ups/s", "-", "-", "<= 25 MB, 0")


def program(benches, name, *arguments):
    """One written in C. Its lines go out as they come; those of the form `what | ours | against | ratio | aim` are rows, or all."""
    before = len(rows)
    lines = []
    print(f"-- {name}", flush=True)
    p = subprocess.Popen([f"{benches}/{name}", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in p.stdout:
        print(line, end="", flush=True)
        lines.append(line.strip())
        if line.count(" | ") == 4:
            rows.append(tuple(line.strip().split(" | ")))
    if p.wait():
        sys.exit(f"{name} failed")
    if len(rows) == before:
        rows.extend((name, line, "-", "-", "-") for line in lines)


def bench_fanout(binary, benches):
    program(benches, "bench_fanout", "1000", "2")


def bench_store(binary, benches):
    program(benches, "bench_store", "3")


def bench_match(binary, benches):
    program(benches, "bench_match")


def bench_extract(binary, benches):
    program(benches, "bench_extract")


def main():
    binary, benches = build()
    lib.use(binary, {})
    all_ = {n[6:]: f for n, f in globals().items() if n.startswith("bench_")}
    wanted = sys.argv[1:] or list(all_)
    for name in wanted:
        if name not in all_:
            sys.exit(f"no benchmark '{name}'; there are {', '.join(all_)}")
        all_[name](binary, benches)
        lib.after_test()
    print("\n| what | ours | against | ratio | aim |\n|---|---|---|---|---|")
    for r in rows:
        print("| " + " | ".join(r) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
