#!/usr/bin/env python3
"""./dev fuzz [SECONDS] [TARGET…]: each target with libFuzzer for so long. Inputs that reach something new are kept in
build/fuzz/corpus/TARGET and are where the next run begins; what breaks a target is left in build/fuzz/found/TARGET."""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
BUILD = "build/fuzz"


def build():
    if not os.path.exists(f"{BUILD}/build.ninja"):
        subprocess.run(["meson", "setup", BUILD, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debugoptimized"],
                       check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, CC="clang"))
    subprocess.run(["ninja", "-C", BUILD, "fuzzers"], check=True, stdout=subprocess.DEVNULL)


def fuzz(path, name, seconds):
    """Whether NAME came through; says how often it was called."""
    found, new, known = f"{BUILD}/found/{name}", f"{BUILD}/corpus/{name}", f"tests/fuzz/corpus/{name}"
    os.makedirs(found, exist_ok=True)
    os.makedirs(new, exist_ok=True)
    p = subprocess.run([path, new, *([known] if os.path.isdir(known) else []), f"-max_total_time={seconds}", f"-artifact_prefix={found}/",
                        "-max_len=65536", "-timeout=20", "-print_final_stats=1"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    counters = re.search(r"\((\d+) inline 8-bit counters\)", p.stdout)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", p.stdout)
    print(f"{'ok  ' if p.returncode == 0 else 'FAIL'} {name}: {runs.group(1) if runs else '?'} runs in {seconds} s, "
          f"{counters.group(1) if counters else 'no'} places watched, {len(os.listdir(new))} inputs kept", flush=True)
    if p.returncode:
        print("\n".join(f"     {line}" for line in p.stdout.splitlines()[-60:]), flush=True)
    return p.returncode == 0


def main():
    args = sys.argv[1:]
    seconds = int(args.pop(0)) if args and args[0].isdigit() else 60
    build()
    targets = {os.path.basename(p)[5:]: p for p in sorted(glob.glob(f"{BUILD}/tests/fuzz/fuzz_*")) if os.path.isfile(p) and os.access(p, os.X_OK)}
    unknown = [a for a in args if a not in targets]
    if unknown:
        sys.exit(f"no target '{unknown[0]}'; there are {', '.join(targets)}")
    results = [fuzz(targets[name], name, seconds) for name in args or targets]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
