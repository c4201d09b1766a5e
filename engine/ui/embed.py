"""Write the files of a folder as a C table: python3 embed.py OUT.c FOLDER [DEPFILE]. Each file also compressed, where that saves bytes.

The folder's files are served from the root, so a name must be unique and flat. The result depends on the files alone."""
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2",
         ".json": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8"}
HASHED = re.compile(r"-[0-9A-Za-z_]{8,}\.[a-z0-9]+$")
NODE = "process.stdout.write(require('zlib').brotliCompressSync(require('fs').readFileSync(0)))"


def brotli(data):
    """By whichever tool the machine has; nothing where it has none: gzip does too."""
    tools = (["brotli", "--stdout", "--quality=11", "-"], ["node", "-e", NODE])
    for tool in tools:
        if shutil.which(tool[0]):
            return subprocess.run(tool, input=data, stdout=subprocess.PIPE, check=True).stdout
    return b""


def array(name, data):
    lines = (",".join(map(str, data[i:i + 32])) for i in range(0, len(data), 32))
    return f"static const unsigned char {name}[] = {{\n" + ",\n".join(lines) + "\n};\n"


def slice_of(name, data):
    return f"{{ (const char *){name}, {len(data)} }}" if data else "{ 0, 0 }"


def main(out, folder, depfile=None):
    names = sorted(n for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n)) and not n.startswith("."))
    if "index.html" not in names:
        sys.exit(f"embed.py: {folder} has no index.html")
    text, rows = ['#include "ui/assets.h"\n'], []
    for i, name in enumerate(names):
        kind = TYPES.get(os.path.splitext(name)[1])
        if not kind:
            sys.exit(f"embed.py: {name}: of no known type")
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        forms = {"plain": data, "gzip": gzip.compress(data, 9, mtime=0), "brotli": brotli(data)}
        for form in ("gzip", "brotli"):
            if len(forms[form]) >= len(data):
                forms[form] = b""
        text += [array(f"{form}_{i}", forms[form]) for form in forms if forms[form]]
        etag = hashlib.sha256(data).hexdigest()[:24]
        slices = ", ".join(slice_of(f"{form}_{i}", forms[form]) for form in forms)
        immutable = 1 if HASHED.search(name) else 0
        rows.append(f'\t{{ "/{name}", "{kind}", "\\"{etag}\\"", {immutable}, {slices} }},\n')
    text.append("const struct asset assets[] = {\n" + "".join(rows) + "};\n")
    text.append("const size_t n_assets = sizeof assets / sizeof assets[0];\n")
    with open(out, "w", encoding="ascii") as f:
        f.write("\n".join(text))
    if depfile:
        with open(depfile, "w", encoding="utf-8") as f:
            f.write(f"{out}: " + " ".join(os.path.join(folder, n) for n in names) + "\n")


main(*sys.argv[1:])
