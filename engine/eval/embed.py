#!/usr/bin/env python3
"""embed.py OUT DEPFILE FOLDER: the Lua files of FOLDER as the table of eval/builtin.h."""
import glob
import os
import sys

out, depfile, folder = sys.argv[1:]
files = sorted(glob.glob(os.path.join(folder, "*.lua")))
with open(out, "w", encoding="utf-8") as f:
    f.write('#include "eval/builtin.h"\n\n')
    for n, path in enumerate(files):
        with open(path, "rb") as src:
            data = src.read()
        f.write(f"static const unsigned char text_{n}[] = {{\n")
        for at in range(0, len(data), 24):
            f.write("\t" + "".join(f"{b}," for b in data[at:at + 24]) + "\n")
        f.write("};\n")
    f.write("const struct eval_builtin eval_builtins[] = {\n")
    for n, path in enumerate(files):
        f.write(f'\t{{ "{os.path.basename(path)[:-4]}", text_{n}, sizeof text_{n} }},\n')
    f.write("\t{ 0 }\n};\n")
    f.write(f"const size_t eval_builtin_count = {len(files)};\n")
with open(depfile, "w", encoding="utf-8") as f:
    f.write(f"{out}: " + " ".join(p.replace(" ", "\\ ") for p in [folder, *files]) + "\n")
