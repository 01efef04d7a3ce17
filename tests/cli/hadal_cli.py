"""What the tests of the command line share: running hadal, fixtures, a table of cases.

A case is a function whose name begins with test_; it fails by an exception (check, equal)
and is left out by skip(). main() runs all of them, or those named on the command line,
each with an empty home folder of its own.
"""
import inspect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

TOP = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
HADAL = os.environ.get("HADAL", str(TOP / "build" / "hadal"))
SHARED = pathlib.Path(os.environ.get("HADAL_SHARED", TOP.parent / "shared"))
LIMIT_S = 120  # a hanging program; never a measure of speed


class Skip(Exception):
    pass


def skip(why):
    raise Skip(why)


def check(ok, what):
    if not ok:
        raise AssertionError(what)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, expected {want!r}")


def fixture(name):
    """A file of tests/data/models, else of ../shared/fixtures; skips where neither is."""
    for root in (TOP / "tests" / "data" / "models", SHARED / "fixtures"):
        if (root / name).exists():
            return str(root / name)
    skip(f"{name} is not here")


def tiny():
    return fixture("v2-lite/model-f16.gguf")


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.text = out.decode("utf-8", "replace")
        self.lines = [x for x in err.decode("utf-8", "replace").splitlines() if x]

    def json(self):
        return json.loads(self.out.decode("utf-8"))

    def __repr__(self):
        return f"exit {self.code}, out {self.out[:300]!r}, err {self.err[:300]!r}"


def environment(home, **more):
    env = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "TERM": "xterm"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update({k: v for k, v in more.items() if v is not None})
    return env


class Home:
    """A home folder for one case, and hadal in it."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="hadal-cli-")
        self.env = environment(self.path)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name, data):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def run(self, *args, stdin=None, env=None, cwd=None, **popen):
        """stdin None: /dev/null; bytes: a pipe."""
        given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        p = subprocess.run([HADAL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env={**self.env, **(env or {})}, cwd=cwd or self.path,
                           timeout=LIMIT_S, **given, **popen)
        code = p.returncode if p.returncode >= 0 else 128 - p.returncode
        return Result(code, p.stdout, p.stderr)

    def start(self, *args, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([HADAL, *args], env=self.env, cwd=self.path, **popen)

    def fails(self, code, *args, names=None, **more):
        """Runs; the exit code is this, one line says why, nothing is on standard output."""
        r = self.run(*args, **more)
        equal(r.code, code, f"{args}: {r}")
        equal(len(r.lines), 1, f"{args}: lines on standard error {r.lines}")
        check(r.lines[0].startswith("hadal: "), f"{args}: {r.lines[0]}")
        check(": " in r.lines[0][len("hadal: "):], f"{args}: no WHAT: WHY in {r.lines[0]}")
        check(not r.lines[0].endswith("."), f"{args}: {r.lines[0]}")
        equal(r.out, b"", f"{args}: standard output")
        if names is not None:
            check(names in r.lines[0], f"{args}: {r.lines[0]!r} does not name {names!r}")
        return r

    def works(self, *args, **more):
        r = self.run(*args, **more)
        equal(r.code, 0, f"{args}: {r}")
        return r

    def messages(self, session="", **more):
        """The messages of a session (the newest one) as log --json tells them."""
        if not session:
            session = self.works("log", "--json", **more).json()[0]["session"]
        return self.works("log", session, "--json", **more).json()["messages"]


def finish(process):
    """Waits; the exit code as a shell shows it, and both outputs."""
    out, err = process.communicate(timeout=LIMIT_S)
    code = process.returncode
    return Result(code if code >= 0 else 128 - code, out or b"", err or b"")


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # A job in the background of a script inherits SIGINT ignored, one under nohup SIGHUP;
    # programs started here get them as from a terminal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    module = sys.modules["__main__"]
    cases = [f for n, f in inspect.getmembers(module, inspect.isfunction)
             if n.startswith("test_") and (len(sys.argv) < 2 or n in sys.argv[1:])]
    cases.sort(key=lambda f: f.__code__.co_firstlineno)
    n_ok = n_bad = n_skipped = 0
    for case in cases:
        home = Home()
        try:
            case(home)
            n_ok += 1
        except Skip as why:
            print(f"SKIP {case.__name__}: {why}")
            n_skipped += 1
        except Exception as e:  # noqa: BLE001 (any failure is the case's)
            n_bad += 1
            where = traceback.extract_tb(e.__traceback__)[-1]
            for frame in traceback.extract_tb(e.__traceback__):
                if frame.filename == module.__file__:
                    where = frame
            print(f"FAIL {case.__name__} (line {where.lineno}): {type(e).__name__}: {e}")
        finally:
            home.close()
    print(f"{n_ok} passed, {n_bad} failed, {n_skipped} skipped")
    sys.exit(1 if n_bad else 77 if n_ok == 0 and n_skipped else 0)
