"""Deliveries: what is kept of them, found among many, and told apart from what came before."""
import http.client
import json
import os
import socket
import subprocess
import uuid

from lib import SECRET, Server, binary, wait

ASAN_TOO = True
CONFIG = '''config { listen = { { "127.0.0.1:0", serve = { "hooks", "pages" } } }, jobs = { file_urls = true } }
source "github" { provider = "github", secret = { secret "new", secret "github" } }
source "quiet" { provider = "github", secret = secret "github", reply = "terse" }
'''
RULES = {"pushrod.lua": CONFIG, "rules/r.lua": '''rule "main" { on = "push", when = { branch = "main" }, steps = { { "say", sh = "echo hello" } } }
rule "dev" { on = "push", when = { branch = "dev" }, steps = { { "say", sh = "echo dev" } } }
'''}


def server():
    return Server(RULES, env={"PUSHROD_SECRET_NEW": "a newer one"})


def body(ref="refs/heads/main", repo="acme/handbook", **more):
    return json.dumps({"ref": ref, "before": "0" * 40, "after": "1" * 40, "repository": {"full_name": repo}, "commits": [],
                       "head_commit": {"id": "1" * 40, "message": "Fix"}, "sender": {"login": "ada"}, **more}).encode()


def ids(s, query=""):
    return [d["id"] for d in s.get("/api/v1/deliveries?" + query)["deliveries"]]


def test_a_delivery_is_kept_with_all_that_is_known_of_it():
    s = server()
    sent = body()
    status, answer = s.deliver(sent, delivery="d-1")
    assert status == 202, answer
    d = s.get(f"/api/v1/deliveries/{answer['delivery']}")
    assert d["key"] == "d-1" and d["source"] == "github" and d["provider"] == "github" and d["bytes"] == len(sent), d
    assert d["secret"] == "github", "the second of two secrets verified it"
    assert d["ruleset"] == s.get("/api/v1/rules")["ruleset"] and d["body_kept"] is True, d
    assert d["headers"]["x-github-event"] == "push" and "x-hub-signature-256" not in d["headers"], d["headers"]
    assert [w["rule"] for w in d["why"]] == ["dev"] and "main" in d["why"][0]["because"], d["why"]
    assert [j["rule"] for j in d["job_list"]] == ["main"] and d["replays"] == [] and d["notes"] == [], d
    status, headers, got = s.request("GET", f"/api/v1/deliveries/{d['id']}/body")
    assert got == sent and headers["x-content-type-options"] == "nosniff" and "attachment" in headers["content-disposition"], headers
    assert SECRET not in json.dumps(d)


def test_deliveries_are_found_by_what_people_remember():
    s = server()
    for ref, repo in (("refs/heads/main", "acme/handbook"), ("refs/heads/dev", "acme/mono"), ("refs/heads/x", "acme/mono")):
        assert s.deliver(body(ref, repo))[0] == 202
    assert s.deliver(json.dumps({"zen": "Keep it logically awesome."}).encode(), event="ping")[0] == 202
    assert ids(s) == [4, 3, 2, 1]
    assert ids(s, "event=push") == [3, 2, 1] and ids(s, "event=ping") == [4]
    assert ids(s, "repo=acme/mono") == [3, 2] and ids(s, "repo=acme/mono&branch=dev") == [2]
    assert ids(s, "matched=yes") == [2, 1] and ids(s, "matched=no&event=push") == [3]
    at = [d["received_ms"] for d in reversed(s.get("/api/v1/deliveries")["deliveries"])]
    assert ids(s, f"since={at[0]}&until={at[3] + 1}") == [4, 3, 2, 1] and ids(s, f"until={at[0]}") == []
    page, seen = "/api/v1/deliveries?limit=2&event=push", []
    while page:
        answer = s.get(page)
        seen += [d["id"] for d in answer["deliveries"]]
        page = answer["next"]
    assert seen == [3, 2, 1], seen
    assert [j["rule"] for j in s.get("/api/v1/jobs?repo=acme/mono")["jobs"]] == ["dev"]


def test_the_same_body_under_a_new_id_is_marked():
    s = server()
    sent = body()
    first = s.deliver(sent, delivery=str(uuid.uuid4()))[1]
    status, again = s.deliver(sent, delivery=str(uuid.uuid4()))
    assert status == 202 and again["same_as"] == first["delivery"], again
    assert [m["rule"] for m in again["matched"]] == ["main"], "marked, and run: equal bodies do occur"
    assert s.get(f"/api/v1/deliveries/{again['delivery']}")["same_as"] == first["delivery"]
    other = s.deliver(sent, source="quiet")[1]
    assert set(other) == {"delivery"} and "same_as" not in s.get(f"/api/v1/deliveries/{other['delivery']}"), "of another source"
    assert "same_as" not in s.deliver(body(more=1))[1]
    assert "came again under a new id" in s.log()


def test_the_reply_is_bounded_however_many_rules_there_are():
    s = Server({"rules/r.lua": "".join(f'rule "m{i}" {{ on = "push", when = {{ branch = "main" }}, steps = {{ {{ "x", sh = "true" }} }} }}\n'
                                       f'rule "n{i}" {{ on = "push", when = {{ message = "nothing {i}" }}, steps = {{ {{ "x", sh = "true" }} }} }}\n'
                                       for i in range(150))})
    status, answer = s.deliver(body(head_commit={"id": "1" * 40, "message": "long " * 100000}))
    assert status == 202 and len(answer["matched"]) == 101 and answer["matched"][100] == {"rule": "", "more": 50}, answer["matched"][99:]
    assert len(answer["not_matched"]) == 51 and "100" in answer["not_matched"][50]["because"], answer["not_matched"][49:]
    assert len(json.dumps(answer)) < 64 << 10


def control(s, path, key=None):
    """POST over the control socket, as the command line does. Returns (status, answer)."""
    c = http.client.HTTPConnection("localhost")
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(os.path.join(s.state, "control.sock"))
    with open(os.path.join(s.state, "control.key"), encoding="ascii") as f:
        headers = {"Authorization": "Bearer " + f.read().strip(), "Content-Length": "0"}
    c.request("POST", path, headers=dict(headers, **({"Idempotency-Key": key} if key else {})))
    reply = c.getresponse()
    answer = json.loads(reply.read())
    c.close()
    return reply.status, answer


def test_a_replay_is_a_new_delivery_by_the_rules_in_force():
    s = server()
    sent = body("refs/heads/x")
    first = s.deliver(sent)[1]
    assert first["matched"] == [], first
    code, out, err = s.cli("replay", str(first["delivery"]))
    assert code == 3 and "main" in out, (code, out, err)
    s.write("rules/r.lua", RULES["rules/r.lua"] + 'rule "x" { on = "push", when = { branch = "x" }, steps = { { "say", sh = "echo again" } } }\n')
    wait("the rule is in force", lambda: any(r["name"] == "x" for r in s.get("/api/v1/rules")["rules"]))
    code, out, err = s.cli("replay", "1", "--dry-run", "--json")
    assert code == 0 and [m["rule"] for m in json.loads(out)["matched"]] == ["x"], (code, out, err)
    assert ids(s) == [2, 1], "a dry run stores nothing"
    code, out, err = s.cli("replay", "1", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["replay_of"] == 1 and [m["rule"] for m in answer["matched"]] == ["x"], (code, out, err)
    d = s.get(f"/api/v1/deliveries/{answer['delivery']}")
    assert d["replay_of"] == 1 and "same_as" not in d and d["key"].startswith("replay-1-") and d["secret"] == "github", d
    assert s.request("GET", f"/api/v1/deliveries/{d['id']}/body")[2] == sent
    assert s.get("/api/v1/deliveries/1")["replays"] == [d["id"], 2]
    assert s.finished(answer["matched"][0]["job"])["state"] == "succeeded"
    assert s.lines(answer["matched"][0]["job"])[-1] == "again"


def test_a_replay_asked_for_twice_happens_once():
    s = server()
    s.deliver(body())
    status, answer = control(s, "/api/v1/deliveries/1/replay", "k")
    assert status == 202 and len(answer["matched"]) == 1, answer
    status, again = control(s, "/api/v1/deliveries/1/replay", "k")
    assert status == 200 and again["duplicate"] and again["delivery"] == answer["delivery"], again
    assert again["matched"] == answer["matched"]
    assert control(s, "/api/v1/deliveries/1/replay", "l")[0] == 202
    assert ids(s) == [3, 2, 1]


def test_a_replay_that_cannot_be_says_why():
    s = server()
    s.deliver(body())
    assert s.cli("replay", "1", "--rule", "main", "--dry-run")[0] == 0
    code, _, err = s.cli("replay", "1", "--rule", "dev")
    assert code == 1 and "does not match" in err, err
    code, _, err = s.cli("replay", "9")
    assert code == 5 and "no delivery 9" in err, err
    assert s.cli("replay", "x")[0] == 2 and s.cli("replay")[0] == 2
    status, _, text = s.request("POST", "/api/v1/deliveries/1/replay", b"", {})
    assert status == 403 and b"control socket" in text, text
    assert ids(s) == [1]
    s.write("pushrod.lua", CONFIG.split('source "github"')[0])
    s.write("rules/r.lua", 'rule "any" { on = "push", when = "always", steps = { { "x", sh = "true" } } }\n')
    wait("the source is gone", lambda: not s.get("/api/v1/rules")["sources"])
    code, _, err = s.cli("replay", "1")
    assert code == 1 and "github" in err, err


def test_the_command_line_lists_deliveries():
    s = server()
    s.deliver(body())
    s.deliver(body("refs/heads/x y&z", "acme/mono"))
    code, out, err = s.cli("deliveries")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 2 and "acme/mono" in lines[0] and "0 jobs" in lines[0] and "1 job " in lines[1], (out, err)
    assert [d["id"] for d in json.loads(s.cli("deliveries", "--matched", "no", "--json")[1])["deliveries"]] == [2]
    assert [d["id"] for d in json.loads(s.cli("deliveries", "--branch", "x y&z", "--json")[1])["deliveries"]] == [2]
    s.cli("replay", "1")
    assert "replay of 1" in s.cli("deliveries", "--limit", "1")[1]
    assert "no deliveries" in s.cli("deliveries", "--event", "tag")[2]
    assert s.cli("deliveries", "--limit", "201")[0] == 2 and s.cli("deliveries", "--matched", "maybe")[0] == 2


def test_the_command_line_shows_one_delivery_its_body_and_how_to_send_it_again():
    s = server()
    text = body(odd="it's `x` $y \\ \"q\" é")
    s.deliver(text)
    code, out, err = s.cli("deliveries", "show", "1")
    assert code == 0 and "delivery 1: push from github" in out and "job 1" in out and "x-github-event: push" in out, (out, err)
    assert json.loads(s.cli("deliveries", "show", "1", "--json")[1])["body_kept"] is True
    assert s.cli("deliveries", "body", "1")[1].encode() == text
    code, out, err = s.cli("deliveries", "curl", "1")
    assert code == 0 and "signatures are not kept" in err and "/hooks/github'" in out, (out, err)
    # What it prints is a command: to a listener of our own it brings the same body and event.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a b"
        command = s.cli("deliveries", "curl", "1", "--url", url.replace(" ", "%20"))[1]
        sending = subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        got, _ = listener.accept()
        with got:
            got.settimeout(20)
            seen = b""
            while text not in seen and (piece := got.recv(65536)):
                seen += piece
            got.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        sending.wait(20)
    assert seen.endswith(text) and b"x-github-event: push" in seen.lower() and b"signature" not in seen.lower(), seen
    # What a sender wrote moves no terminal; a query's braces are no pattern of curl's; a body that is no word comes by a pipe.
    s.deliver(body(head_commit={"id": "1" * 40, "message": "a\x1b[2J\x9bb"}), headers={"X-Empty": ""})
    shown = s.cli("deliveries", "show", "2")[1] + s.cli("deliveries")[1] + s.cli("jobs")[1]
    assert "a?[2J?b" in shown and "\x1b" not in shown and "\x9b" not in shown, shown
    assert "curl -gsS" in s.cli("deliveries", "curl", "2")[1]
    s.deliver(b'{"ref": "refs/heads/x", "pad": "' + b"x" * 70000 + b'"}')
    assert s.cli("deliveries", "curl", "3", "--state", s.state)[1].startswith(f"pushrod deliveries body 3 --state '{s.state}' | curl")
    with open("/dev/full", "w") as full:
        broken = subprocess.run([binary(), "deliveries", "body", "1", "--state", s.state], stdout=full, stderr=subprocess.PIPE, text=True)
    assert broken.returncode == 1 and "cannot be written" in broken.stderr, broken
    for args, expect in ((("show",), 2), (("show", "x"), 2), (("shout", "1"), 2), (("show", "99"), 5), (("body", "99"), 5)):
        assert s.cli("deliveries", *args)[0] == expect, args
    assert s.cli("deliveries", "--since", "1h")[1].count("\n") == 3 and "no deliveries" in s.cli("deliveries", "--until", "1h")[2]


def test_what_was_refused_is_told_by_status_and_not_to_the_sender():
    s = Server({"rules/a.lua": 'rule "docs" { on = "push", when = "always", run = function(job) end }'})
    status = s.get("/api/v1/status")
    assert status["refused"] == [] and status["unknown_paths"] == {"count": 0, "last": []}, status
    code, answer = s.deliver(b'{"zen":"x"}', event="ping", secret="another")
    assert code == 401 and "secret" not in json.dumps(answer) and "Signature" not in json.dumps(answer), answer
    code, answer = s.deliver(b'{"zen":"x"}', event="ping", source="gthub")
    assert code == 404 and "github" not in json.dumps(answer), answer
    status = s.get("/api/v1/status")
    [no] = status["refused"]
    assert (no["source"], no["count"], no["status"]) == ("github", 1, 401), no
    assert no["reason"] == "X-Hub-Signature-256 matches none of the secrets" and no["last_ms"] >= status["started_ms"], no
    [stray] = status["unknown_paths"]["last"]
    assert (stray["path"], stray["count"], stray["did_you_mean"]) == ("/hooks/gthub", 1, "/hooks/github"), stray
    assert f'reason="{no["reason"]}"' in s.log() and 'path="/hooks/gthub" did_you_mean="/hooks/github"' in s.log(), s.log()
    told = s.cli("status")[1]
    assert "source 'github' refused 1 delivery since the start, the last " in told and no["reason"] in told, told
    assert "POST /hooks/gthub: no such source, did you mean /hooks/github?; 1 time, the last " in told, told
    s.write("rules/b.lua", 'rule "more" { on = "tag", when = "always", run = function(job) end }')
    wait("the reload", lambda: len(s.get("/api/v1/rules")["rules"]) == 2)
    [source] = s.get("/api/v1/rules")["sources"]
    assert source["refused"] == {k: no[k] for k in ("count", "last_ms", "status", "reason")}, source
    assert SECRET not in json.dumps(s.get("/api/v1/status")) + s.log()


def test_a_hook_at_a_path_that_is_no_hooks_leaves_a_line_too_and_not_one_each():
    s = Server()
    for i in range(20):
        status, _, _ = s.request("POST", f"/github-{i}", b"{}", {"Content-Type": "application/json"})
        assert status == 405, status
    assert 1 <= s.log().count("a path that no source has") < 20, s.log()
    assert s.get("/api/v1/status")["unknown_paths"]["count"] == 20
    assert "and 16 POSTs to other paths that no source has" in s.cli("status")[1]


def test_an_event_that_has_no_common_name_is_told_by_its_own():
    s = Server({"rules/a.lua": '''rule "stars" { on = "github:watch", when = "always", run = function(job) job:log(job.event.event) end }
rule "pushes" { on = "push", when = "always", run = function(job) end }'''})
    payload = json.dumps({"action": "started", "repository": {"full_name": "acme/handbook"}, "sender": {"login": "ada"}}).encode()
    status, answer = s.deliver(payload, event="watch")
    assert status == 202 and [m["rule"] for m in answer["matched"]] == ["stars"], answer
    d = s.get(f"/api/v1/deliveries/{answer['delivery']}")
    assert (d["event"], d["action"], d["normalised"]["event"]) == ("watch", "started", "watch"), d
    job = s.finished(answer["matched"][0]["job"])
    assert job["event"] == "watch" and s.lines(job["id"]) == ["watch"], job
    assert " watch.started " in s.cli("deliveries")[1] and ": watch.started from github" in s.cli("deliveries", "show", "1")[1]
    assert [x["id"] for x in s.get("/api/v1/deliveries?event=watch")["deliveries"]] == [d["id"]]
    again = s.cli("replay", "1", "--rule", "stars")
    assert again[0] == 0 and s.get("/api/v1/deliveries/2")["event"] == "watch", again


def test_a_replay_for_a_rule_that_is_not_there_says_so():
    s = Server({"rules/r.lua": RULES["rules/r.lua"]})
    s.deliver(b'{"ref": "refs/heads/main", "repository": {"full_name": "a/b"}}')
    for args in ((), ("--dry-run",)):
        code, out, err = s.cli("replay", "1", "--rule", "mian", *args)
        assert code == 5 and "no rule 'mian', did you mean 'main'?" in err and not out, (code, out, err)
    code, out, err = s.cli("replay", "1", "--rule", "dev")
    assert code == 1 and "rule 'dev' does not match this delivery" in err and "--dry-run" in err, (code, out, err)
    assert len(s.get("/api/v1/deliveries")["deliveries"]) == 1
