#!/usr/bin/env python3
"""embed_starter.py OUT DEPFILE FOLDER: the texts of a new site (cli/init.c), as constants named after the files."""
import os
import re
import sys

out, depfile, folder = sys.argv[1:]
files = sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
with open(out, "w", encoding="utf-8") as f:
    for path in files:
        with open(path, "rb") as src:
            data = src.read()
        f.write(f"static const char starter_{re.sub('[^a-z]', '_', os.path.relpath(path, folder))}[] = {{\n")
        for at in range(0, len(data), 24):
            f.write("\t" + "".join(f"{b - 256 if b > 127 else b}," for b in data[at:at + 24]) + "\n")
        f.write("0 };\n")
with open(depfile, "w", encoding="utf-8") as f:
    f.write(f"{out}: " + " ".join(p.replace(" ", "\\ ") for p in [folder, *files]) + "\n")
