#!/usr/bin/env python3
"""The link list of each module names only what it may depend on, and the test of each role's entry links with that role's own
libraries alone: the link line is the list of a role's powers."""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path.insert(0, os.path.join(ROOT, "tests/lint"))
import arrows       # noqa: E402

# Libraries of others: who may link them.
THIRD = {"h2o": {"front"}, "git2": {"lua"}, "lua": {"lua", "eval"}, "sqlite": {"store"}, "yaml": {"cli"}}
# A role's test executable and the modules that its entry must do without.
ROLES = {"front": {"eval", "lua", "runner", "supervisor", "cli"}, "runner": {"rules", "store", "front", "lua", "eval", "secret", "dispatch"},
         "eval": {"store", "front", "lua", "runner", "secret", "dispatch", "journal"}, "lua": {"store", "front", "eval", "secret", "dispatch"}}


def main():
    bad = []
    for path in glob.glob("engine/*/meson.build") + ["rules/meson.build"]:
        module = arrows.module_of(path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        may = {m.split("/")[0] for m in arrows.MAY[module]} | {module}
        for dep in set(re.findall(r"\b([a-z]+)_dep\b", text)):
            if dep not in may:
                bad.append(f"{path}: {module} may not link {dep}")
        for lib, who in THIRD.items():
            if module not in who and re.search(rf"dependencies: \[[^\]]*\b{lib}\b(?!_)", text):
                bad.append(f"{path}: {module} may not link {lib}")
    with open("tests/unit/meson.build", encoding="utf-8") as f:
        tests = dict(re.findall(r"'(\w+)': \[([^\]]*)\]", f.read()))
    for role, never in ROLES.items():
        if role not in tests:
            bad.append(f"tests/unit/meson.build: no test of the role {role}")
        for m in never & set(re.findall(r"\b([a-z]+)_dep\b", tests.get(role, ""))):
            bad.append(f"tests/unit/meson.build: the role {role} must work without {m}")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
