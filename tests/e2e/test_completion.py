"""Completion: each shell reads its script, and offers what the commands take."""
import os
import re
import subprocess

from lib import binary, environment, folder


def bare(*args):
    p = subprocess.run([binary(), *args], capture_output=True, text=True, timeout=30, env=environment())
    return p.returncode, p.stdout, p.stderr


def commands():
    return re.findall(r"^  ([a-z]+) ", bare("--help")[1], re.M)


def script(shell):
    path = os.path.join(folder(), f"completion.{shell}")
    code, out, _ = bare("completion", shell)
    assert code == 0
    with open(path, "w", encoding="utf-8") as f:
        f.write(out)
    return path


def sh(*argv):
    p = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment({"HOME": folder()}))
    assert p.returncode == 0 and not p.stderr, (argv, p.stderr)
    return p.stdout.split()


def bash(path, *words):
    text = f'source {path}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pushrod; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return sh("bash", "--norc", "-c", text, "bash", *words)


def test_bash_completes_commands_options_and_folders():
    path = script("bash")
    assert set(bash(path, "pushrod", "")) >= set(commands())
    assert bash(path, "pushrod", "se") == ["serve"] and bash(path, "pushrod", "sche") == ["schema"]
    assert set(bash(path, "pushrod", "check", "--")) == {"--help", "--json", "--format", "--without-secrets"}
    home = folder()
    os.mkdir(f"{home}/folder")
    open(f"{home}/file", "w", encoding="ascii").close()
    assert bash(path, "pushrod", "serve", "--state", f"{home}/f") == [f"{home}/folder"]
    assert sorted(bash(path, "pushrod", "check", f"{home}/f")) == [f"{home}/file", f"{home}/folder"]
    assert bash(path, "pushrod", "jobs", "--limit", "") == [], "a value that is neither is not guessed"


def test_zsh_reads_its_script_and_knows_all_commands():
    path = script("zsh")
    sh("zsh", "-f", "-n", path)
    out = sh("zsh", "-f", "-c", f"compdef() {{ }}; _describe() {{ print -l -- ${{commands%%:*}} }}; source {path}; CURRENT=2; _pushrod")
    assert out == commands(), out
    out = sh("zsh", "-f", "-c", f"compdef() {{ }}; _arguments() {{ print -l -- ${{@%%\\[*}} }}; source {path}; words=(pushrod check --); CURRENT=3; _pushrod")
    assert set(out) == {"--help", "--json", "--format", "--without-secrets", "*:file:_files"}, out


def test_fish_completes_commands_and_options():
    path = script("fish")
    sh("fish", "--no-config", "--no-execute", path)
    out = sh("fish", "--no-config", "-c", f"source {path}; complete -C 'pushrod '")
    assert set(out) >= set(commands()), out
    out = sh("fish", "--no-config", "-c", f"source {path}; complete -C 'pushrod check --'")
    assert {"--json", "--format", "--without-secrets"} <= set(out), out


def test_every_command_tells_of_its_options_and_takes_them():
    for command in commands():
        code, out, _ = bare(command, "--help")
        assert code == 0
        for name in re.findall(r"^\s+(?:-., )?--([a-z-]+)", out, re.M):
            code, _, err = bare(command, f"--{name}=", "--help")
            assert "unknown option" not in err, (command, name, err)
    code, _, err = bare("completion", "tcsh")
    assert code == 2 and "bash, zsh or fish" in err, err
    assert bare("completion")[0] == 2
