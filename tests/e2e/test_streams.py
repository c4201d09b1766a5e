"""Streams: late join, exact resume, ends, bounds (I8)."""
import http.client
import json
import os
import socket
import subprocess
import threading
import time

from lib import Parser, Repository, Server, Stream, wait

COUNT = '''rule "count" { on = "push", when = "always", steps = {
  { "count", sh = "i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i; %s done" } } }'''


def started(lines=300, pause="sleep 0.01;", **kw):
    s = Server({"rules/count.lua": COUNT % (lines, pause)}, **kw)
    return s, s.push(Repository())["matched"][0]["job"]


def log_lines(events):
    return [line for e in events if e.type == "log" for line in json.loads(e.data)["l"]]


def journal(server, job, attempt=1):
    with open(os.path.join(server.state, "journals", f"{job}.{attempt}"), "rb") as f:
        return f.read()


def test_whoever_comes_late_sees_every_line_from_the_first():
    s, job = started()
    first = Stream(s, f"/api/v1/jobs/{job}/events")
    seen = []
    for e in first:
        seen.append(e)
        if len(log_lines(seen)) > 50:
            break
    late = Stream(s, f"/api/v1/jobs/{job}/events").until("end")
    assert log_lines(late) == [f"line {n}" for n in range(1, 301)]
    rest = first.until("end")
    assert log_lines(seen + rest) == [f"line {n}" for n in range(1, 301)]


def test_I8_a_watcher_cut_anywhere_resumes_without_gap_or_double():
    s, job = started(400, "sleep 0.005;")
    got, last, cuts = [], None, 0
    while True:
        stream = Stream(s, f"/api/v1/jobs/{job}/events", last_id=last)
        if stream.status == 204:
            break
        count, ended = 0, False
        for e in stream:
            got += log_lines([e])
            last = stream.parser.last_id or last
            ended = e.type == "end"
            count += 1
            if ended or count > 7 + cuts % 11:
                break
        stream.close()
        cuts += 1
        if ended:
            break
    assert got == [f"line {n}" for n in range(1, 401)], (len(got), cuts)
    assert cuts > 5, cuts


def test_the_stream_is_the_journal_byte_for_byte_and_every_id_is_a_place_to_resume():
    s, job = started(60, "")
    s.finished(job)
    whole = Stream(s, f"/api/v1/jobs/{job}/events").until("end")
    data = journal(s, job)
    kept = [e for e in whole if e.type in ("attempt", "step", "log", "note")]
    assert b"".join(f"id: {e.id}\nevent: {e.type}\ndata: {e.data}\n\n".encode() for e in kept) == data
    for i, e in enumerate(kept):
        assert e.id == f"{job}.1.{sum(len(f'id: {x.id}{chr(10)}event: {x.type}{chr(10)}data: {x.data}{chr(10)}{chr(10)}'.encode()) for x in kept[:i + 1])}", e
        rest = [x for x in Stream(s, f"/api/v1/jobs/{job}/events", last_id=e.id).until("end") if x.type in ("attempt", "step", "log", "note")]
        assert [x.id for x in rest] == [x.id for x in kept[i + 1:]]
    assert s.request("GET", f"/api/v1/jobs/{job}/journal")[2] == data


def test_headers_retry_and_the_end():
    s, job = started(3, "")
    s.finished(job)
    stream = Stream(s, f"/api/v1/jobs/{job}/events")
    events = stream.until("end")
    assert stream.headers["content-type"] == "text/event-stream", stream.headers
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-accel-buffering"] == "no" and stream.headers["x-content-type-options"] == "nosniff"
    assert stream.headers.get("transfer-encoding") == "chunked" and "content-length" not in stream.headers
    assert 2000 <= stream.parser.retry <= 5000
    assert events[-1].id.endswith("-1") and stream.reply.read() == b"", "the connection closes behind the end"
    assert Stream(s, f"/api/v1/jobs/{job}/events", last_id=events[-1].id).status == 204
    # one who has all the log but not the end gets the end, not a 204
    again = Stream(s, f"/api/v1/jobs/{job}/events", last_id=events[-1].id[:-2])
    assert again.status == 200 and again.until("end")[-1].id == events[-1].id
    # after= in the address, and the header wins over it
    by_query = Stream(s, f"/api/v1/jobs/{job}/events?after={events[-1].id}")
    assert by_query.status == 204
    both = Stream(s, f"/api/v1/jobs/{job}/events?after={events[-1].id}", last_id=f"{job}.1.0")
    assert both.status == 200 and log_lines(both.until("end")) == ["line 1", "line 2", "line 3"]


def test_a_position_that_does_not_exist_gets_a_reset_with_the_true_end():
    s, job = started(3, "")
    s.finished(job)
    size = len(journal(s, job))
    for bad in (f"{job}.1.{size + 1000}", f"{job}.1.5"):
        events = Stream(s, f"/api/v1/jobs/{job}/events", last_id=bad).until("end")
        reset = [e for e in events if e.type == "reset"]
        assert len(reset) == 1 and reset[0].id == f"{job}.1.{size}", (bad, events)
    assert s.request("GET", "/api/v1/jobs/999/events")[0] == 404
    assert s.request("GET", f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": "x" * 200})[0] in (200, 400)


def test_poll_mode_ends_after_what_there_is():
    s, job = started(50, "sleep 0.02;")
    got, last = [], None
    for _ in range(500):
        stream = Stream(s, f"/api/v1/jobs/{job}/events?mode=poll", last_id=last)
        if stream.status == 204:
            break
        events = list(stream)
        got += log_lines(events)
        last = stream.parser.last_id or last
        if any(e.type == "end" for e in events):
            break
    assert got == [f"line {n}" for n in range(1, 51)], got


def test_the_log_as_text_whole_by_range_by_tail_and_followed():
    s, job = started(100, "sleep 0.005;")
    follow = http.client.HTTPConnection("127.0.0.1", s.port(), timeout=30)
    follow.request("GET", f"/api/v1/jobs/{job}/log?follow=1&plain=1")
    followed = follow.getresponse().read().decode()
    s.finished(job)
    status, headers, body = s.request("GET", f"/api/v1/jobs/{job}/log?plain=1")
    assert status == 200 and headers["content-type"].startswith("text/plain"), headers
    want = [f"line {n}" for n in range(1, 101)]
    assert [x for x in body.decode().splitlines() if x.startswith("line ")] == want
    assert [x for x in followed.splitlines() if x.startswith("line ")] == want
    status, headers, part = s.request("GET", f"/api/v1/jobs/{job}/log?plain=1", headers={"Range": "bytes=10-29"})
    assert status == 206 and part == body[10:30] and headers["content-range"] == f"bytes 10-29/{len(body)}", headers
    status, _, tail = s.request("GET", f"/api/v1/jobs/{job}/log?plain=1&tail=5")
    assert status == 200 and len(tail.decode().splitlines()) == 5


def test_the_feed_of_changes_resumes_where_it_was():
    s = Server({"rules/count.lua": COUNT % (2, "")})
    repo = Repository()
    feed = Stream(s, "/api/v1/events")
    seen = threading.Event()
    first = []

    def read():
        for e in feed:
            first.append(e)
            if e.type == "job" and json.loads(e.data)["state"] == "succeeded":
                seen.set()
                return
    t = threading.Thread(target=read)
    t.start()
    s.push(repo)
    assert seen.wait(30), first
    t.join()
    assert any(e.type == "delivery" for e in first)
    position = feed.parser.last_id
    feed.close()
    job = s.push(repo)["matched"][0]["job"]
    s.finished(job)
    again = Stream(s, "/api/v1/events", last_id=position)
    for e in again:
        if e.type == "job":
            data = json.loads(e.data)
            assert data["id"] == job, "only what changed since"
            if data["state"] == "succeeded":
                break


def test_a_watcher_that_never_reads_costs_little_and_holds_nobody_up():
    s = Server({"rules/flood.lua": 'rule "flood" { on = "push", when = "always", steps = { { "flood", sh = "sleep 0.5; head -c 40000000 /dev/zero | tr \'\\\\0\' x | fold -w 99" } } }'})
    job = s.push(Repository())["matched"][0]["job"]
    front = s.roles()["front"]
    stuck = []
    for _ in range(50):
        c = socket.create_connection(("127.0.0.1", s.port()))
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.sendall(f"GET /api/v1/jobs/{job}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        stuck.append(c)

    def rss():
        with open(f"/proc/{front}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * 4096
    before = rss()
    end = s.finished(job, seconds=120)
    assert end["state"] == "succeeded", end
    grown = rss() - before
    assert grown < (60 << 20) if "ASAN_OPTIONS" in os.environ else grown < (24 << 20), f"{grown >> 20} MiB more"
    for c in stuck:
        c.close()


def test_a_vanished_watcher_is_reaped():
    s, job = started(10000, "sleep 0.05;")
    base = s.get("/api/v1/status")["watchers"]
    streams = [Stream(s, f"/api/v1/jobs/{job}/events") for _ in range(20)]
    wait("20 more watchers", lambda: s.get("/api/v1/status")["watchers"] == base + 20)
    for x in streams:
        x.close()
    wait("all of them are gone", lambda: s.get("/api/v1/status")["watchers"] == base, 20)
    s.cli("cancel", str(job))
