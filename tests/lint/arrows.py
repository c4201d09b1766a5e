#!/usr/bin/env python3
"""Includes point one way (ARCHITECTURE.md, codemap), and third-party headers appear in one place each."""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)

MAY = {
    "base": [],
    "model": ["base"],
    "wire": ["base", "model"],
    "journal": ["base", "model"],
    "secret": ["base"],
    "rules": ["base", "model"],
    "store": ["base", "model", "journal"],
    "eval": ["base", "model", "rules", "wire"],
    "runner": ["base", "model", "wire", "journal"],
    "lua": ["base", "model", "wire", "journal", "runner",
            "rules/residue.h",      # a job decides what was left open until git was asked
            "rules/normalise.h", "rules/schema.h"],         # which fields an event can have
    "dispatch": ["base", "model", "wire", "journal", "store"],
    "ui": ["base"],
    "front": ["base", "model", "wire", "journal", "secret", "rules", "store", "dispatch", "runner/spec.h", "ui"],
    "supervisor": ["base", "wire"],
    # The command line speaks HTTP to a server; offline commands use the one loader; serve starts the supervisor.
    "cli": ["base", "model", "rules", "secret", "wire/evaluate.h", "wire/frame.h", "supervisor"],
}
ONLY_IN = {
    "h2o.h": ["engine/front/http.c"],
    "pcre2.h": ["rules/regex.c"],
    "git2.h": ["engine/lua/git"],
    "yaml.h": ["engine/cli/yaml_read.c"],
    "sqlite3.h": ["engine/store/"],
    "lua.h": ["engine/lua/", "engine/eval/"], "lauxlib.h": ["engine/lua/", "engine/eval/"], "lualib.h": ["engine/lua/", "engine/eval/"],
}


def module_of(path):
    return path.split("/")[1] if path.startswith("engine/") else path.split("/")[0]


def main():
    bad = []
    for path in sorted(glob.glob("engine/*/*.[ch]") + glob.glob("rules/*.[ch]")):
        module = module_of(path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.M):
            if kind == "<":
                places = ONLY_IN.get(os.path.basename(name))
                if places and not any(path.startswith(p) for p in places):
                    bad.append(f"{path}: <{name}> belongs in {', '.join(places)} alone")
                continue
            to = name.split("/")[0]
            if name.endswith(".inc"):
                continue                        # made at build time, in the module's own folder
            if "/" not in name:
                bad.append(f"{path}: \"{name}\" has no module in front")
            elif to != module and to not in MAY[module] and name not in MAY[module]:
                bad.append(f"{path}: {module} may not include {name}; it may include {', '.join(MAY[module])}")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
