"""A rules directory that is wrong on purpose: each way to stall, swell or leave it ends in an error that says what and where, within
its limits; and a server that is given it goes on with the rules it has."""
import os
import time

from lib import Repository, Server, folder, wait

ASAN_TOO = False                # its allocator has no bound of address space, and a count of steps takes it ten times as long
RULE = 'rule "one" { on = "push", when = "always", run = function(job) job:log("old") end }\n'
WITHIN_S = 20.0                 # the role's own deadline is 9 s

HOSTILE = {
    "an endless loop": ("while true do end", "rules/bad.lua:1: error: this file is still running after 100 million steps"),
    "a loop that no pcall ends": ("while true do pcall(function() while true do end end) end", "still running after 100 million steps"),
    "a coroutine's name": ("local c = coroutine.create(function() while true do end end)", "'coroutine' is not there while the files are read"),
    "a string of a gigabyte": ("local s = string.rep('x', 1 << 30)", "rules/bad.lua: error: this file needs more than 64 MiB of memory"),
    "a string that doubles": ("local s = 'x' while true do s = s .. s end", "this file needs more than 64 MiB of memory"),
    "a table without end": ("local t = {} for i = 1, 1e9 do t[i] = i end", "this file needs more than 64 MiB of memory"),
    "a search that takes for ever in C": ("local s = string.rep('a', 30000) local p = string.rep('.-', 20) .. 'b' return s:find(p)",
                                          "rules/bad.lua: error: still running after 9 seconds"),
    "a recursion": ("local function f() return 1 + f() end f()", "rules/bad.lua: error: this file needs more than 64 MiB of memory"),
    "a recursion in C": ("local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 'x'] end return t.x", "C stack overflow"),
    "nested tables": ('local t = {} local u = t for i = 1, 100 do u.x = {} u = u.x end rule "x" { on = t, when = "always" }', "tables are nested deeper than 32"),
    "a table that holds itself": ('local t = {} t.t = t rule "x" { on = t, when = "always" }', "tables are nested deeper than 32"),
    "brackets without end": ("local t = " + "{" * 5000, "rules/bad.lua:1"),
    "bytecode": ("\x1bLua", "attempt to load a binary chunk"),
    "bytecode by load": ("load('return 1')", "'load' is not there"),
    "string.dump": ("string.dump(function() end)", "rules/bad.lua:1"),
    "an error that is a table": ("error({})", "rules/bad.lua: error: the error is table"),
    "an error that is nil": ("error()", "rules/bad.lua: error: the error is nil"),
    "a finalizer": ("setmetatable({}, { __gc = function() while true do end end })", "__gc is not for rule files"),
    "a to-be-closed loop": ("local x <close> = setmetatable({}, { __close = function() while true do end end })", "still running after 100 million steps"),
    "a metatable of strings": ("getmetatable('').__index = nil return ('x'):rep(2)", "rules/bad.lua:1"),
    "many declarations": ('for i = 1, 1e6 do rule("r" .. i) { on = "push", when = "always" } end', "5000"),
    "another text the second time": ('rule("x" .. tostring({})) { on = "push", when = "always", run = function() end }', "read a second time"),
}


def bad(s, text):
    s.write("rules/bad.lua", text)


def test_each_way_ends_in_a_clear_error_within_its_limits():
    s = Server({"rules/a.lua": RULE}, start=False)
    for what, (text, want) in HOSTILE.items():
        bad(s, text)
        begin = time.monotonic()
        code, out, err = s.cli("check", s.site)
        took = time.monotonic() - begin
        assert code == 1 and want in out + err, (what, code, out, err[:2000])
        assert took < WITHIN_S, (what, took)


def test_files_that_are_no_rules_are_named():
    s = Server({"rules/a.lua": RULE}, start=False)
    with open(f"{s.site}/rules/bytes.lua", "wb") as f:
        f.write(b"-- caf\xe9\n")
    with open(f"{s.site}/rules/zero.lua", "wb") as f:
        f.write(b"-- \0\n")
    with open(f"{s.site}/rules/huge.lua", "wb") as f:
        f.truncate((1 << 20) + 1)
    with open(f"{s.site}/rules/largest.lua", "wb") as f:
        f.write(b"-" * (1 << 20))
    os.mkfifo(f"{s.site}/rules/pipe.lua")
    os.symlink("/dev/zero", f"{s.site}/rules/device.lua")
    os.symlink("loop.lua", f"{s.site}/rules/loop.lua")
    os.mkdir(f"{s.site}/rules/folder.lua")
    outside = os.path.join(folder(), "outside.lua")
    with open(outside, "w", encoding="utf-8") as f:
        f.write('rule "outside" {')
    os.symlink(outside, f"{s.site}/rules/outside.lua")
    s.write("shared/inside.lua", "-- well\n")
    os.symlink("../shared/inside.lua", f"{s.site}/rules/inside.lua")
    code, out, err = s.cli("check", s.site)
    assert code == 1, err
    for want in ("rules/bytes.lua:1:7: error: this byte is not UTF-8", "rules/zero.lua:1:4: error: a NUL byte", "rules/huge.lua: error: is larger than 1 MiB",
                 "rules/pipe.lua: error: is not a regular file", "rules/device.lua: error: leads out of the directory", "rules/loop.lua: error: cannot be read",
                 "rules/folder.lua: error: is not a regular file",
                 "rules/outside.lua: error: leads out of the directory by a symbolic link"):
        assert want in err, (want, err)
    assert "largest" not in err and "inside" not in err, err


def test_a_hundred_thousand_files_are_too_many():
    s = Server({"rules/a.lua": RULE}, start=False)
    for i in range(100000):
        open(f"{s.site}/rules/{i:06}.lua", "wb").close()
    begin = time.monotonic()
    code, _, err = s.cli("check", s.site)
    assert code == 1 and "there are more than 2000 files" in err and time.monotonic() - begin < WITHIN_S, err[:500]


def test_a_server_keeps_its_rules_whatever_it_is_given():
    s = Server({"rules/a.lua": RULE})
    repo = Repository()
    good = s.get("/api/v1/rules")["ruleset"]
    for what in ("a loop that no pcall ends", "a string of a gigabyte", "a search that takes for ever in C", "bytecode", "many declarations"):
        text, want = HOSTILE[what]
        bad(s, text)
        want = want.split("error: ")[-1]
        wait(f"{what} is told", lambda: want in (s.get("/api/v1/rules")["error"] or ""), 40)
        assert s.get("/api/v1/rules")["ruleset"] == good, what
        job = s.push(repo)["matched"][0]["job"]
        s.finished(job)
        assert s.lines(job) == ["old"], what
    os.unlink(f"{s.site}/rules/bad.lua")
    wait("the directory is good again", lambda: not s.get("/api/v1/rules")["error"], 40)
