#!/usr/bin/env python3
"""The whole suite: ./dev test [FILTER…]. Builds what it needs, runs every test, closes with `N passed, N failed`.

Groups: lint, unit (gcc, clang, ASan+UBSan), fuzz (the corpora, replayed), e2e (the real binary, as a user meets it; also under
ASan), browser (Chromium), kill (kill -9 at random instants). A filter names a group or a part of a test's name.
"""
import concurrent.futures
import glob
import importlib.util
import os
import subprocess
import sys
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)
sys.path[:0] = [os.path.join(ROOT, "tests/e2e"), os.path.join(ROOT, "tests")]
sys.dont_write_bytecode = True

CI = os.environ.get("CI") == "true"
WERROR = ["-Dwerror=true"] if CI else []
BUILDS = {
    "gcc": (["-Dbuildtype=debugoptimized", *WERROR], {}),
    "clang": (["-Dbuildtype=debugoptimized", *WERROR], {"CC": "clang"}),
    "asan": (["-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false", *WERROR], {}),
}
ASAN = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:halt_on_error=1:exitcode=99",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0",
}


class Tally:
    def __init__(self, filters):
        self.passed = self.failed = 0
        self.filters = filters
        self.failures = []

    def wants(self, name):
        return not self.filters or any(f in name for f in self.filters)

    def group(self, name):
        """Whether anything of group NAME can be wanted: spares a build."""
        known = ("lint", "unit", "fuzz", "e2e", "browser", "kill")
        return not self.filters or any(f == name or f.startswith(name + ".") or f.split(".")[0] not in known for f in self.filters)

    def add(self, name, ok, seconds, output=""):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(name)
        print(f"{'ok  ' if ok else 'FAIL'} {name} ({seconds:.1f} s)", flush=True)
        if not ok:
            print("\n".join("     " + line for line in output.strip().splitlines()[-80:]), flush=True)


def run(argv, timeout=900, env=None, cwd=None):
    try:
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, stdin=subprocess.DEVNULL,
                           env=dict(os.environ, **(env or {})), cwd=cwd, errors="replace")
        return p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        out = e.stdout or b""
        return 124, (out.decode(errors="replace") if isinstance(out, bytes) else out) + f"\ntimed out after {timeout} s"


def build(kind, targets=()):
    directory = f"build/{kind}"
    options, env = BUILDS[kind]
    if not os.path.exists(f"{directory}/build.ninja"):
        code, out = run(["meson", "setup", directory, *options], env=env)
        if code:
            sys.exit(f"{out}\nmeson setup failed in {directory}")
    code, out = run(["ninja", "-C", directory, *targets], timeout=2400)
    if code:
        lines = [line for line in out.splitlines() if not line.startswith("[")]
        sys.exit("\n".join(lines[-80:]) + f"\nthe build in {directory} failed")
    return directory


def sanitized(path, env):
    """Run it. Its exit code, its output, and what the sanitizers wrote, of its children too."""
    logs = f"{path}.sanitizer"
    env = dict(env)
    for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        if key in env:
            env[key] += f":log_path={logs}"
    for old in glob.glob(logs + ".*"):
        os.unlink(old)
    code, out = run([os.path.abspath(path), "--tap=/dev/stdout", "--jobs=1"], timeout=600, env=env)
    return code, out, [open(f, errors="replace").read() for f in glob.glob(logs + ".*")]


def criterion(tally, kind, path, env):
    """One executable; each of its tests counts."""
    name = f"unit.{kind}.{os.path.basename(path)[5:]}"
    start = time.monotonic()
    code, out, reports = sanitized(path, env)
    if reports and not any(reports) and not code:
        # A process that is killed as it begins a report leaves an empty one, which tells nothing: ask once more.
        code, out, reports = sanitized(path, env)
    results = [line for line in out.splitlines() if line.startswith(("ok ", "not ok "))]
    took = time.monotonic() - start
    good = [line for line in results if line.startswith("ok ")]
    tally.passed += len(good)
    bad = [line for line in results if line.startswith("not ok ")]
    for line in bad:
        tally.add(f"{name}: {line[7:].split(' - ', 1)[-1]}", False, 0, out)
    if not results or (code and not bad) or reports:
        tally.add(name, False, took, out + "\n".join(reports))
    print(f"ok   {name}: {len(good)} of {len(results)} ({took:.1f} s)" if not bad else f"FAIL {name}: {len(bad)} of {len(results)}", flush=True)


def unit(tally):
    for kind in BUILDS:
        if not any(tally.wants(f"unit.{kind}.{os.path.basename(p)[5:-2]}") or "unit" in tally.filters for p in glob.glob("tests/unit/test_*.c")):
            continue
        directory = build(kind)
        paths = sorted(p for p in glob.glob(f"{directory}/tests/unit/test_*") if os.access(p, os.X_OK) and os.path.isfile(p))
        paths = [p for p in paths if tally.wants(f"unit.{kind}.{os.path.basename(p)[5:]}")]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda p: criterion(tally, kind, p, ASAN if kind == "asan" else {}), paths))


def fuzz(tally):
    directory = build("asan")
    for path in sorted(glob.glob(f"{directory}/tests/fuzz/replay_*")):
        if not os.access(path, os.X_OK) or not os.path.isfile(path):
            continue
        name = os.path.basename(path)[7:]
        corpus = f"tests/fuzz/corpus/{name}"
        if tally.wants(f"fuzz.{name}"):
            start = time.monotonic()
            code, out = run([path, corpus], env=ASAN, timeout=120)
            tally.add(f"fuzz.{name}", code == 0 and os.path.isdir(corpus), time.monotonic() - start, out)


def lint(tally):
    for path in sorted(glob.glob("tests/lint/*.py")):
        name = f"lint.{os.path.basename(path)[:-3]}"
        if tally.wants(name):
            start = time.monotonic()
            code, out = run([sys.executable, path])
            tally.add(name, code == 0, time.monotonic() - start, out)
    if tally.wants("lint.page_types"):
        start = time.monotonic()
        code, out = npm_ci("engine/ui")
        if code == 0:
            code, out = run(["npm", "run", "--silent", "check"], cwd="engine/ui")
        tally.add("lint.page_types", code == 0, time.monotonic() - start, out)


def npm_ci(folder):
    """Install by the lock file, unless what is there came from this very lock."""
    lock, stamp = os.path.join(folder, "package-lock.json"), os.path.join(folder, "node_modules/.lock")
    want = open(lock, "rb").read()
    if os.path.exists(stamp) and open(stamp, "rb").read() == want:
        return 0, ""
    code, out = run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)
    if code == 0:
        with open(stamp, "wb") as f:
            f.write(want)
    return code, out


def functions(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [(n, f) for n, f in vars(module).items() if n.startswith("test_") and callable(f)], getattr(module, "ASAN_TOO", False)


def e2e(tally, pattern, group):
    import lib
    for path in sorted(glob.glob(pattern)):
        tests, asan_too = functions(path)
        for kind in ("gcc", "asan") if asan_too else ("gcc",):
            for name, function in tests:
                full = f"{group}.{kind}.{os.path.basename(path)[5:-3]}.{name[5:]}"
                if not tally.wants(full):
                    continue
                lib.use(os.path.abspath(f"{build(kind)}/pushrod"), ASAN if kind == "asan" else {})
                start = time.monotonic()
                try:
                    function()
                    error = lib.after_test()
                except BaseException as e:                      # noqa: B902 - a test may fail in any way
                    if isinstance(e, KeyboardInterrupt):
                        raise
                    error = traceback.format_exc() + (lib.after_test() or "")
                tally.add(full, not error, time.monotonic() - start, error or "")


def main():
    tally = Tally(sys.argv[1:])
    groups = {
        "lint": lambda: lint(tally), "unit": lambda: unit(tally), "fuzz": lambda: fuzz(tally),
        "e2e": lambda: e2e(tally, "tests/e2e/test_*.py", "e2e"),
        "browser": lambda: e2e(tally, "tests/browser/test_*.py", "browser"),
        "kill": lambda: e2e(tally, "tests/kill/test_*.py", "kill"),
    }
    for name, go in groups.items():
        if tally.group(name):
            go()
    for name in tally.failures:
        print(f"FAIL {name}")
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
