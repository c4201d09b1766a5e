#!/usr/bin/env python3
"""embed_samples.py OUT DEPFILE FOLDER: the samples FOLDER/PROVIDER/NAME.http as a C table."""
import glob
import os
import sys

out, depfile, folder = sys.argv[1:]
files = sorted(glob.glob(os.path.join(folder, "*", "*.http")))
with open(depfile, "w", encoding="utf-8") as f:
    folders = sorted(glob.glob(os.path.join(folder, "*")))      # a folder changes when a file comes or goes
    f.write(f"{out}: {' '.join([folder, *folders, *files])}\n")
with open(out, "w", encoding="utf-8") as f:
    for n, path in enumerate(files):
        with open(path, "rb") as src:
            data = src.read()
        f.write(f"static const unsigned char sample_{n}[] = {{\n")
        for at in range(0, len(data), 24):
            f.write("\t" + "".join(f"{b}," for b in data[at:at + 24]) + "\n")
        f.write("};\n")
    f.write("static const struct { const char *provider, *event; const unsigned char *bytes; size_t len; } samples[] = {\n")
    for n, path in enumerate(files):
        provider, event = path.split(os.sep)[-2:]
        f.write(f'\t{{ "{provider}", "{event[:-5]}", sample_{n}, sizeof sample_{n} }},\n')
    f.write("};\n")
