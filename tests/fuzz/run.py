#!/usr/bin/env python3
"""./dev fuzz [SECONDS] [TARGET…]: each target with libFuzzer for so long; what it finds is left in build/fuzz/found/TARGET."""
import glob
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)


def main():
    args = sys.argv[1:]
    seconds = int(args.pop(0)) if args and args[0].isdigit() else 60
    build = "build/fuzz"
    if not os.path.exists(f"{build}/build.ninja"):
        subprocess.run(["meson", "setup", build, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debugoptimized",
                        "-Dc_args=-fsanitize=fuzzer-no-link"], check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, CC="clang"))
    subprocess.run(["ninja", "-C", build], check=True, stdout=subprocess.DEVNULL)
    passed = failed = 0
    for path in sorted(p for p in glob.glob(f"{build}/tests/fuzz/fuzz_*") if os.access(p, os.X_OK) and os.path.isfile(p)):
        name = os.path.basename(path)[5:]
        if args and name not in args:
            continue
        found, new = f"{build}/found/{name}", f"{build}/corpus/{name}"
        os.makedirs(found, exist_ok=True)
        os.makedirs(new, exist_ok=True)
        code = subprocess.run([path, new, f"tests/fuzz/corpus/{name}", f"-max_total_time={seconds}", f"-artifact_prefix={found}/", "-max_len=65536",
                               "-print_final_stats=0", "-verbosity=0"]).returncode
        print(f"{'ok  ' if code == 0 else 'FAIL'} {name}", flush=True)
        passed, failed = passed + (code == 0), failed + (code != 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
