#!/usr/bin/env python3
"""What a compiler does not see: sizes, calls the house does not use, notes left behind, secrets compared in the open."""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)

NEVER = {
    r"\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atoll|gets|system|popen|tmpnam)\s*\(": "is a call the house does not use",
    r"\b(TODO|FIXME|XXX|HACK)\b": "is a note left behind",
    r"^\s*typedef\s+struct\b": "hides a struct behind a typedef",
}
FORK = {"engine/runner", "engine/lua/git.c", "engine/lua/filter.c", "engine/wire/role.c", "engine/wire/evaluate.c"}


def main():
    bad = []
    for path in sorted(glob.glob("engine/*/*.[ch]") + glob.glob("rules/*.[ch]") + glob.glob("engine/*.c")):
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        most = 1000 if path.endswith(".c") else 200
        if len(lines) > most:
            bad.append(f"{path}: {len(lines)} lines, the most is {most}")
        if not path.removeprefix('engine/') in lines[0]:
            bad.append(f"{path}:1: begins with no line that says what it is for: /* {path.removeprefix('engine/')} - …")
        for n, line in enumerate(lines, 1):
            for pattern, what in () if re.match(r"\s*(\*|/\*)", line) and "TODO" not in line else NEVER.items():
                m = re.search(pattern, line)
                if m:
                    bad.append(f"{path}:{n}: '{m.group(0).strip()}' {what}")
            if re.search(r"\b(v?fork|clone3?)\s*\(", line) and not line.lstrip().startswith(("*", "/*")) and not any(path.startswith(p) for p in FORK):
                bad.append(f"{path}:{n}: only the runner, the fetch, the filter and role.c start processes")
            if len(line.replace("\t", "    ")) > 150:
                bad.append(f"{path}:{n}: {len(line)} characters")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
