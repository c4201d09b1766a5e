"""A new user's first minutes: init, check, serve, simulate, watch."""
import json
import os
import re
import stat
import subprocess

from lib import ROOT, Server, binary, environment, folder

ASAN_TOO = True
FILES = {"pushrod.lua", "rules/hello.lua", ".luarc.json", ".gitignore", "types/pushrod.lua", "secrets/github"}


def bare(*args, cwd="/"):
    env = environment()
    env.pop("PUSHROD_SECRET_GITHUB")
    p = subprocess.run([binary(), *args], capture_output=True, text=True, timeout=30, env=env, cwd=cwd)
    return p.returncode, p.stdout, p.stderr


def test_init_makes_a_directory_that_checks_serves_and_fires():
    site = os.path.join(folder(), "new/site")
    code, out, err = bare("init", site)
    assert code == 0, err
    assert {os.path.relpath(line, site) for line in out.splitlines()} == FILES, out
    assert stat.S_IMODE(os.stat(f"{site}/secrets/github").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{site}/secrets").st_mode) == 0o700
    assert len(open(f"{site}/secrets/github", encoding="ascii").read().strip()) == 40
    json.load(open(f"{site}/.luarc.json", encoding="utf-8"))
    assert f"pushrod serve {site}" in open(f"{site}/rules/hello.lua", encoding="utf-8").read(), "the comments name this directory"
    code, out, err = bare("check", site)
    assert code == 0 and not err and "1 rule, 1 source: ok" in out, (out, err)
    s = Server(start=False, args=["--listen", "127.0.0.1:0"])
    s.site = site
    s.env["PUSHROD_SECRET_GITHUB"] = ""         # its own file decides
    s.start()
    code, out, err = s.cli("simulate", "github", "push", "--site", site)
    assert code == 0 and "hello" in out, (code, out, err)
    assert re.search(r"hello +job 1  http://", out), out
    for args, want in ((["--since", "1h"], 1), (["--until", "1h"], 0), (["--since", "2026-01-01T00:00:00Z"], 1), (["--until", "2026-01-01T00:00:00Z"], 0)):
        code, out, err = s.cli("deliveries", *args)
        assert code == 0 and len(out.splitlines()) == want, (args, out, err)
    code, out, err = s.cli("deliveries", "--since", "yesterday")
    assert code == 2 and "such as 2h (ago), 2026-11-30T08:00 or 2026-11-30T08:00:00Z, not 'yesterday'" in err, err
    code, out, err = s.cli("watch")
    assert code == 0 and "a push to " in out and "succeeded" in out, (out, err)


def test_init_writes_over_nothing_and_says_what_is_there():
    site = folder()
    os.makedirs(f"{site}/rules")
    with open(f"{site}/rules/hello.lua", "w", encoding="utf-8") as f:
        f.write("-- mine\n")
    code, out, err = bare("init", site)
    assert code == 1 and not out and f"{site}/rules/hello.lua" in err and "pushrod.lua\n" not in err, err
    assert os.listdir(site) == ["rules"] and open(f"{site}/rules/hello.lua", encoding="utf-8").read() == "-- mine\n"
    code, _, err = bare("init", "--types", site)
    assert code == 0, err
    assert "pushrod.Job" in open(f"{site}/types/pushrod.lua", encoding="utf-8").read() and not os.path.exists(f"{site}/pushrod.lua")
    with open(f"{site}/types/pushrod.lua", "w", encoding="utf-8") as f:
        f.write("old and longer " * 5000)
    assert bare("init", "--types", site)[0] == 0
    assert "old" not in open(f"{site}/types/pushrod.lua", encoding="utf-8").read()[:100]
    code, _, err = bare("init", "/proc/nowhere")
    assert code == 1 and "/proc/nowhere" in err, err


def test_the_types_are_lua_and_the_schema_is_json():
    code, out, _ = bare("schema", "--format", "json")
    assert code == 0 and json.loads(out)["$defs"]["rule"]["properties"]["on"]
    code, out, _ = bare("schema", "--format", "lua")
    site = folder()
    os.makedirs(f"{site}/plugins")
    with open(f"{site}/plugins/types.lua", "w", encoding="utf-8") as f:
        f.write(out)
    os.mkdir(f"{site}/rules")
    assert code == 0 and bare("check", site)[0] == 0, "Lua reads the types"
    code, _, err = bare("schema", "--format", "yaml")
    assert code == 2 and "markdown, json or lua" in err, err


def test_the_pages_that_teach_are_right():
    """Each block of Lua in docs/writing-rules.md and README.md passes the check, without a warning."""
    for page, least in (("docs/writing-rules.md", 5), ("README.md", 2)):
        with open(os.path.join(ROOT, page), encoding="utf-8") as f:
            blocks = re.findall(r"```lua\n(.*?)```", f.read(), re.S)
        assert len(blocks) >= least, page
        site = folder()
        os.makedirs(f"{site}/rules")
        settings = [b for b in blocks if "source \"" in b]
        with open(f"{site}/pushrod.lua", "w", encoding="utf-8") as f:
            f.write(settings[0] if settings else "".join(f'source "{n}" {{ provider = "{n}", secret = secret "{n}" }}\n' for n in ("github", "stripe", "razorpay")))
        for n, block in enumerate(b for b in blocks if b not in settings):
            with open(f"{site}/rules/{n}.lua", "w", encoding="utf-8") as f:
                f.write(block)
        code, out, err = bare("check", site, "--without-secrets")
        assert code == 0 and not err, (page, err)


def test_a_secret_whose_name_is_misspelt_is_told_with_the_one_that_is_there():
    site = folder()
    os.makedirs(f"{site}/secrets")
    with open(f"{site}/pushrod.lua", "w", encoding="utf-8") as f:
        f.write('source "g" { provider = "github", secret = secret "githbu-main" }\n')
    with open(f"{site}/secrets/github-main", "w", encoding="utf-8") as f:
        f.write("s")
    os.chmod(f"{site}/secrets/github-main", 0o600)
    code, _, err = bare("check", site)
    assert code == 1 and "secret 'githbu-main' is nowhere: put it into " in err and "(mode 0600), or did you mean 'github-main'?" in err, err


def test_a_folder_that_is_no_site_is_told_and_a_state_that_may_not_be_entered():
    empty = folder()
    for args in (["check", empty], ["serve", empty, "--listen", "127.0.0.1:0"], ["simulate", "github", "push", "--site", empty]):
        code, out, err = bare(*args)
        assert code == 1 and not out and f"'{empty}' has no pushrod.lua and no rules/" in err and "pushrod init" in err, (args, out, err)
    assert os.listdir(empty) == []
    os.chmod(empty, 0)
    if not os.access(empty, os.X_OK):           # root enters anything
        code, _, err = bare("status", "--state", empty)
        assert code == 4 and "may not be entered by this user" in err, err
    code, _, err = bare("jobs", "--status", "failed")
    assert code == 2 and "--state-is" in err, err
    code, _, err = bare("jobs", "--state", "failed")
    assert code == 2 and "--state-is failed" in err, err
