"""A rules directory that is wrong on purpose: each way to stall, swell or leave it ends in an error that says what and where, within
its limits; and a server that is given it goes on with the rules it has."""
import concurrent.futures
import os
import subprocess
import time

import lib
from lib import CONFIG, Repository, Server, folder, wait

ASAN_TOO = False                # its allocator has no bound of address space, and a count of steps takes it ten times as long
RULE = 'rule "one" { on = "push", when = "always", run = function(job) job:log("old") end }\n'
WITHIN_S = 20.0                 # the role's own deadline is 9 s
WITHIN_MB = 300                 # of whichever process takes most; a Lua of its own has 64 MiB

# Of what counts as steps and takes long, a busy machine meets the seconds first.
HOSTILE = {
    "an endless loop": ("while true do end", "rules/bad.lua:1: error: this file is still running after 100 million steps"),
    "a loop that no pcall ends": ("while true do pcall(function() while true do end end) end", "still running after 100 million steps"),
    "a coroutine's name": ("local c = coroutine.create(function() while true do end end)", "'coroutine' is not there while the files are read"),
    "a string of a gigabyte": ("local s = string.rep('x', 1 << 30)", "rules/bad.lua: error: this file needs more than 64 MiB of memory"),
    "a string that doubles": ("local s = 'x' while true do s = s .. s end", "this file needs more than 64 MiB of memory"),
    "a table without end": ("local t = {} for i = 1, 1e9 do t[i] = i end", "this file needs more than 64 MiB of memory"),
    "a search that takes for ever in C": ("local s = string.rep('a', 30000) local p = string.rep('.-', 20) .. 'b' return s:find(p)",
                                          "rules/bad.lua: error: still running after 9 seconds"),
    "a replacement that takes for ever": ("local s = string.rep('a', 3000) return (s:gsub(string.rep('a-', 12) .. 'b', ''))",
                                         "rules/bad.lua: error: still running after 9 seconds"),
    "nothing, repeated for ever": ("local s = string.rep('', 1 << 62)", "rules/bad.lua: error: still running after 9 seconds"),
    "a move of a million million": ("table.move({}, 1, 1 << 40, 2)", "rules/bad.lua: error: still running after 9 seconds"),
    "a list that says it is long": ("table.concat(setmetatable({}, { __len = function() return 1 << 50 end, __index = function() return '' end }))",
                                    "still running after "),
    "an order that is none": ("local t = {} for i = 1, 1e6 do t[i] = i end table.sort(t, function() return true end)", "rules/bad.lua:1: error: invalid order function"),
    "a hundred million results": ("return table.unpack({}, 1, 1e8)", "rules/bad.lua:1: error: too many results to unpack"),
    "a jump back": ("::again:: goto again", "still running after 100 million steps"),
    "a name that never comes": ("return tostring(setmetatable({}, { __tostring = function() while true do end end }))", "still running after 100 million steps"),
    "a message of four megabytes": ("error(string.rep('x', 1 << 22))", "rules/bad.lua:1: error: xxx"),
    "a name of a megabyte": ('rule(string.rep("x", 1 << 20)) { on = "push", when = "always" }', "rules/bad.lua:1:1: error: a name has at most 100 bytes"),
    "a key of a megabyte": ('rule "x" { [string.rep("x", 1 << 20)] = 1, on = "push", when = "always" }', "rules/bad.lua:1:10: error: unknown rule key 'xxx"),
    "too many values": ('local t = {} for i = 1, 200000 do t["k" .. i] = i end rule "x" { on = "push", when = { payload = t } }',
                        "error: there are more than 200000 values"),
    "mistakes without end": ('for i = 1, 5000 do rule("r" .. i) { on = "psh", when = "alwys", timout = 1 } end', "unknown rule key 'timout'"),
    "a NUL in a text": ('rule "x" { on = "push", when = { paths = "a\\0b" }, paths_from = "git" }', "rules/bad.lua:1:42: error: this string is not UTF-8 text"),
    "a name that is no text": ('rule "\\xff" { on = "push", when = "always" }', "rules/bad.lua:1: error: the name of this rule is not UTF-8 text"),
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


def checked(files, *args):
    """`check` of a directory of FILES (name -> text or bytes): its exit code and what it says. Its time and memory are in their bounds."""
    site = os.path.join(folder(), "site")
    for name, text in {"pushrod.lua": CONFIG, **files}.items():
        path = os.path.join(site.encode(), name.encode() if isinstance(name, str) else name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text.encode() if isinstance(text, str) else text)
    begin = time.monotonic()
    p = subprocess.Popen([lib._binary, "check", site, "--without-secrets", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=lib.environment())
    out = p.stdout.read().decode()
    p.stdout.close()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    took, most_mb = time.monotonic() - begin, usage.ru_maxrss // 1024
    assert took < WITHIN_S and most_mb < WITHIN_MB, (list(files)[:3], took, most_mb)
    return p.returncode, out


def test_each_way_ends_in_a_clear_error_within_its_limits():
    def fails(way):
        what, (text, want) = way
        code, out = checked({"rules/a.lua": RULE, "rules/bad.lua": text})
        is_said = want in out or ("100 million steps" in want and "still running after 9 seconds" in out)
        assert code == 1 and is_said and len(out) < 300000, (what, code, len(out), out[:2000])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(fails, HOSTILE.items()))


def test_the_settings_a_module_and_a_provider_have_the_same_limits():
    ways = ["a loop that no pcall ends", "a string of a gigabyte", "nothing, repeated for ever", "bytecode"]

    def fails(way):
        text, want = HOSTILE[way[0]]
        files = {"rules/a.lua": "require 'bad'\n" + RULE, way[1]: text}
        code, out = checked(files)
        # what a module does is done by the file that requires it
        assert code == 1 and any(want.replace("rules/bad.lua", place) in out for place in (way[1], "rules/a.lua")), (way, code, out[:2000])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(fails, [(what, place) for place in ("pushrod.lua", "plugins/bad.lua", "plugins/providers/bad.lua") for what in ways]))


def test_a_hundred_thousand_rules_are_read():
    text = 'for i = 1, 4000 do rule("r%d-" .. i) { on = "push", when = { branch = "b" .. i }, run = function(job) end } end'
    site = Server({f"rules/r{i:02}.lua": text % i for i in range(25)}, start=False)
    code, out, err = site.cli("check", site.site, timeout=120)
    assert code == 0 and "100000 rules" in out, (code, out, err[:2000])
    for i in range(25, 75):
        site.write(f"rules/r{i:02}.lua", text.replace("4000", "5000") % i)
    begin = time.monotonic()
    code, out, err = site.cli("check", site.site, timeout=120)
    is_said = "come to more than 32 MiB" in err or "still running after 9 seconds" in err
    assert code == 1 and is_said and len(err) < 1000 and time.monotonic() - begin < WITHIN_S, (code, out, err[:2000])


def test_marks_and_ends_of_lines_of_other_systems():
    code, out = checked({"rules/bom.lua": b"\xef\xbb\xbf" + RULE.encode(), "rules/utf16.lua": RULE.encode("utf-16"),
                         "rules/crlf.lua": b'-- a\r\nrule "x" {\r\n  on = "push", when = "always",\r\n  timout = "1m", run = function() end\r\n}\r\n'})
    assert code == 1 and out == """\
rules/bom.lua:1:1: error: begins with a byte order mark, which is no part of a Lua text: save it as UTF-8 without one [E010]
rules/crlf.lua:4:3: error: unknown rule key 'timout', did you mean 'timeout'? [E101]
    4 |   timout = "1m", run = function() end
      |   ^~~~~~
rules/utf16.lua:1:1: error: this byte is not UTF-8 [E010]
3 errors
""", out
    code, out = checked({"rules/crlf.lua": RULE.replace("\n", "\r\n")})
    assert code == 0 and "1 rule, " in out, out


def test_what_a_file_is_called_and_what_it_says_moves_no_terminal_and_commands_no_runner():
    files = {b"rules/a\n::add-mask::x\x1b[31m,line=9:.lua": "x =", b"rules/\xff.lua": "x =",
             "rules/said.lua": 'rule "x" { ["a\\27[2Jb\\n::add-mask::y"] = 1, on = "push", when = "\\u{9b}1m", run = function() end } -- \x1b[1m \u009b2J\n'}
    for args in ((), ("--format", "github"), ("--json",)):
        code, out = checked(files, *args)
        assert code == 1 and not any(c < " " and c != "\n" or "\x7f" <= c < "\xa0" for c in out), (args, out)
        assert "\n::add-mask" not in out and "said.lua" in out and "a ::add-mask" in out.replace("%3A", ":"), (args, out)
    code, out = checked(files, "--format", "github")
    assert all(line.startswith("::error file=rules/") and line.count(",line=") == 1 for line in out.splitlines()[:-1]), out


def test_a_folder_that_leads_to_itself_and_a_file_that_may_not_be_read():
    s = Server({"rules/a.lua": RULE, "rules/ten.lua": "-- ten megabytes\n" * (10 << 16), "rules/closed.lua": "rule"}, start=False)
    os.symlink("..", f"{s.site}/rules/up")
    os.symlink("../rules", f"{s.site}/plugins")
    os.chmod(f"{s.site}/rules/closed.lua", 0)
    # root reads what it may not, unless it is told
    plain = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    p = subprocess.run([*plain, lib._binary, "check", s.site], capture_output=True, text=True, env=lib.environment(), timeout=60)
    assert p.returncode == 1 and "rules/closed.lua: error: cannot be read: Permission denied" in p.stderr, p.stderr
    assert "rules/ten.lua: error: is larger than 1 MiB" in p.stderr, p.stderr
    for what, make, want in (("itself", lambda path: os.symlink("rules", path), "Too many levels of symbolic links"),
                             ("a file", lambda path: open(path, "w", encoding="utf-8").close(), "Not a directory")):
        s = Server(start=False)
        os.rmdir(f"{s.site}/rules")
        make(f"{s.site}/rules")
        code, _, err = s.cli("check", s.site)
        assert code == 1 and f"rules: error: cannot be read: {want}" in err, (what, err)


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
