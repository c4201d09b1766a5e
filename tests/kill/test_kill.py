"""kill -9 of front, runner, supervisor, job and step at random instants under load; then I1-I9 are checked from outside.

The load's jobs print numbered lines and start a double-forked setsid grandchild that must never outlive its attempt. Sizes by
environment: PUSHROD_KILLS (200), PUSHROD_SEED. What is sent are pushes of two branches, which merge where a queue lets them, or take each other's place.
"""
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
import uuid

from lib import Repository, Server, Stream, wait

MARK = "86399.25"
RULE = '''
local queues = { load1 = {}, load2 = {}, load3 = {}, load4 = {}, latest = { busy = "latest" }, cancel = { busy = "cancel" },
                 skip = { busy = "skip" }, debounce = { debounce = "400ms", max_wait = "1s" },
                 both = { busy = "latest", debounce = "200ms" } }
for name, queue in pairs(queues) do
  rule(name) { on = "push", when = "always", queue = queue, steps = {
    { "daemon", sh = "setsid sh -c '(setsid sleep %s </dev/null >/dev/null 2>&1 &) & exit'; echo begun" },
    { "count",  sh = "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line $i; sleep 0.01; done" },
  } }
end
''' % MARK
RULES = {"load1", "load2", "load3", "load4", "latest", "cancel", "skip", "debounce", "both"}        # each with one slot
CANCELLED, SKIPPED, SUPERSEDED = 9, 10, 11      # model/job.h
NAMES = ["", "debouncing", "queued", "awaiting_approval", "running", "succeeded", "failed", "errored", "timed_out", "cancelled",
         "skipped", "superseded", "refused", "lost"]


class Sender(threading.Thread):
    """Delivers for ever; what got no answer is sent again under the same id. The ledger is what was answered."""

    def __init__(self, server, body, seed):
        super().__init__(daemon=True)
        self.server, self.body, self.stopping = server, body, False
        self.random = random.Random(seed)
        self.sent, self.accepted = {}, {}

    def run(self):
        while not self.stopping:
            key = str(uuid.UUID(int=self.random.getrandbits(128)))
            branch = b"refs/heads/main" if self.random.random() < 0.7 else b"refs/heads/other"
            body = self.body.replace(b"refs/heads/main", branch) + b" " * self.random.randrange(50)
            self.sent[key] = body
            while not self.stopping:
                try:
                    status, answer = self.server.deliver(body, delivery=key)
                except (OSError, ValueError, json.JSONDecodeError, StopIteration, Exception):
                    time.sleep(0.05)
                    continue
                if status in (200, 202):
                    self.accepted[key] = answer
                    break
                time.sleep(0.05)
            time.sleep(self.random.uniform(0.05, 0.3))


class Watcher(threading.Thread):
    """Follows one job over any number of connections, and keeps the bytes of all that has an id."""

    def __init__(self, server, job):
        super().__init__(daemon=True)
        self.server, self.job, self.text, self.last, self.ended, self.stopping = server, job, "", None, None, False

    def run(self):
        while not self.ended and not self.stopping:
            try:
                s = Stream(self.server, f"/api/v1/jobs/{self.job}/events", last_id=self.last, seconds=20)
                if s.status == 204:
                    return
                for e in s:
                    if e.type in ("attempt", "step", "log", "note"):
                        self.text += f"id: {e.id}\nevent: {e.type}\ndata: {e.data}\n\n"
                        self.last = e.id
                    if e.type == "reset":
                        self.text += "RESET\n"
                    if e.type == "end":
                        self.ended = json.loads(e.data)
                        return
            except Exception:                                   # noqa: B902 - the server is being killed
                pass
            time.sleep(0.05)


class Observer(threading.Thread):
    """Asks for the newest jobs all the time, and keeps the first final state that it is told of each."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stopping, self.finals = server, False, {}

    def run(self):
        while not self.stopping:
            try:
                for job in self.server.get("/api/v1/jobs?limit=100")["jobs"]:
                    if job["ended_ms"]:
                        self.finals.setdefault(job["id"], job["state"])
            except Exception:                                   # noqa: B902 - the server is being killed
                pass
            time.sleep(0.1)


def children(pid):
    return [int(p) for p in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()]


def victim(server, rng):
    roles = server.roles()
    what = rng.choice(["front", "runner", "job", "step", "step", "job", "front", "runner", "supervisor"])
    if what == "supervisor":
        return what, server.process.pid
    if what in roles:
        return what, roles[what]
    jobs = children(roles["runner"]) if "runner" in roles else []
    if what == "job" and jobs:
        return what, rng.choice(jobs)
    steps = [p for j in jobs for p in children(j)]
    return (what, rng.choice(steps)) if steps else (None, 0)


def orphans():
    return subprocess.run(["pgrep", "-f", f"sleep {MARK}"], capture_output=True, text=True).stdout.split()


def test_I1_to_I9_hold_over_random_deaths():
    kills, seed = int(os.environ.get("PUSHROD_KILLS", "200")), int(os.environ.get("PUSHROD_SEED", str(random.randrange(1 << 30))))
    print(f"     {kills} kills, seed {seed}", flush=True)
    rng = random.Random(seed)
    s = Server({"rules/load.lua": RULE})
    sender = Sender(s, Repository().push_body(), seed)
    sender.start()
    observer = Observer(s)
    observer.start()
    watchers, done = {}, {}
    count = 0
    deadline = time.monotonic() + 1500
    while count < kills and time.monotonic() < deadline:
        time.sleep(min(rng.expovariate(8), 0.6))
        if s.process.poll() is not None:
            s.start()
        what, pid = victim(s, rng)
        if not pid:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        count += 1
        done[what] = done.get(what, 0) + 1
        for answer in list(sender.accepted.values())[-3:]:
            for m in answer.get("matched", []):
                if m["job"] not in watchers and len(watchers) < 40:
                    watchers[m["job"]] = Watcher(s, m["job"])
                    watchers[m["job"]].start()
    sender.stopping = True
    sender.join(30)
    if s.process.poll() is not None:
        s.start()
    print(f"     killed {done}; {len(sender.accepted)} deliveries accepted, {len(watchers)} watchers", flush=True)

    def settled():
        try:
            jobs = s.get("/api/v1/status")["jobs"]
            return not jobs.get("debouncing") and not jobs.get("queued") and not jobs.get("running")
        except OSError:
            return False
    wait("everything has come to its end", settled, 300)
    for w in watchers.values():
        w.join(30)
        w.stopping = True
    wait("no orphan is left", lambda: not orphans(), 10)
    observer.stopping = True
    observer.join(30)
    check_from_outside(s, sender, watchers, observer)


def check_from_outside(s, sender, watchers, observer):
    s.stop()
    db = sqlite3.connect(f"file:{s.state}/pushrod.db?mode=ro", uri=True)
    assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
    stored = {}
    for key, body in db.execute("select d.key, b.data from delivery d left join body b on b.delivery = d.id"):
        assert key not in stored, f"I3: {key} twice"
        stored[key] = bytes(body)
    for key in sender.accepted:
        assert key in stored, f"I1: {key} was answered and is not there"
        assert stored[key] == sender.sent[key], f"I1: the body of {key} is another"
    for key in stored:
        assert key in sender.sent, f"I2: {key} was never sent"
    check_accounts(db, sender)
    check_queues(db, observer)
    for j, w in watchers.items():
        if not w.text:
            continue
        whole = ""
        for n in range(1, 100):
            path = os.path.join(s.state, "journals", f"{j}.{n}")
            if not os.path.exists(path):
                break
            with open(path, "rb") as f:
                whole += f.read().decode()
        assert "RESET" not in w.text, f"I8: job {j} was reset"
        assert whole.startswith(w.text), f"I8: what a watcher of job {j} saw is no prefix of its log"
        if w.ended:
            assert whole == w.text, f"I8: job {j} ended and its watcher missed the tail"
    check_attempts(db)


def check_accounts(db, sender):
    """Each delivery has one job of each rule, its own or one that took it in, and that is the one that was answered."""
    rules = dict(db.execute("select id, name from rule"))
    assert set(rules.values()) == RULES, rules
    mine = {}
    for job, delivery, rule in db.execute("select id, delivery, rule from job union all select job, delivery, rule from merged"):
        assert (delivery, rules[rule]) not in mine, f"I3: delivery {delivery} has two jobs of {rules[rule]}"
        mine[delivery, rules[rule]] = job
    deliveries = dict(db.execute("select key, id from delivery"))
    assert set(mine) == {(d, r) for d in deliveries.values() for r in RULES}, "I4: a delivery without all its jobs"
    for key, answer in sender.accepted.items():
        for m in answer.get("matched", []):
            assert mine[deliveries[key], m["rule"]] == m["job"], f"I3: {key} was told of another job: {m}"


def check_queues(db, observer):
    """One final state, and a heir or a reason where it never ran; no two attempts of one slot at a time."""
    jobs = {i: (state, rule, heir, reason, merged) for i, state, rule, heir, reason, merged in
            db.execute("select id, state, rule, heir, reason, merged from job")}
    for i, (state, rule, heir, reason, merged) in jobs.items():
        assert state > 4, f"job {i} is {NAMES[state]} for ever"
        if state == SUPERSEDED:
            assert heir in jobs and jobs[heir][1] == rule and reason == f"job {heir} took its place", f"job {i}: {heir}, {reason}"
        if state == CANCELLED:
            assert heir in jobs and f"job {heir}" in reason, f"I9: job {i} was cancelled for nobody: {reason}"
        assert state != SKIPPED or reason.startswith("its queue is full, 1 of 1: job "), f"job {i}: {reason}"
        assert merged == db.execute("select count(*) from merged where job=?", (i,)).fetchone()[0], f"job {i} runs for {merged}"
    for i, state in observer.finals.items():
        assert NAMES[jobs[i][0]] == state, f"I7: job {i} was {state}, and is {NAMES[jobs[i][0]]}"
    for rule in {rule for _, rule, *_ in jobs.values()}:
        last, end = None, 0
        for job, begin, ended in db.execute("select a.job, a.started_ms, a.ended_ms from attempt a join job j on j.id=a.job where j.rule=?"
                                            " order by a.started_ms, a.ended_ms", (rule,)):
            assert begin >= end, f"I9: jobs {last} and {job} ran at one time"
            last, end = job, ended
    counts = {}
    for state, *_ in jobs.values():
        counts[NAMES[state]] = counts.get(NAMES[state], 0) + 1
    print(f"     {counts}, {sum(m for *_, m in jobs.values())} merged, {len(observer.finals)} ends observed", flush=True)


def check_attempts(db):
    columns = [c[1] for c in db.execute("pragma table_info(attempt)")]
    job_columns = [c[1] for c in db.execute("pragma table_info(job)")]
    attempts = [dict(zip(columns, row)) for row in db.execute("select * from attempt order by job, n")]
    finals = {}
    for row in db.execute("select * from job"):
        job = dict(zip(job_columns, row))
        finals[job["id"]] = job
    by_job = {}
    for a in attempts:
        by_job.setdefault(a["job"], []).append(a)
    for number, job in finals.items():
        mine = by_job.get(number, [])
        if job["state"] in (SKIPPED, SUPERSEDED) and not mine:
            continue
        assert mine, f"I5: job {number} is final and has no attempt"
        assert [a["n"] for a in mine] == list(range(1, len(mine) + 1)), f"I5: attempts of job {number}"
        for a, b in zip(mine, mine[1:]):
            assert a["ended_ms"] is not None and a["ended_ms"] <= b["started_ms"] + 5, f"I6: attempts of job {number} overlap"
            assert a["reason"] or b["reason"], f"I5: attempt {b['n']} of job {number} has no reason"
        assert mine[-1]["ended_ms"] is not None, f"I7: job {number} is final and its attempt is open"
