"""How hadal run ends: pipes, signals, time limits, full disks, closed descriptors.

The slow back end (--device ref) makes an answer long enough to be interrupted.
"""
import os
import pty
import select
import signal
import subprocess
import time

from hadal_cli import HADAL, check, equal, finish, fixture, main, tiny

def slow_answer(h):
    """Arguments of an answer that lasts: greedy, it runs in a circle."""
    return ["run", "-m", fixture("dense-gqa/model-f32.gguf"), "--device", "ref", "--raw",
            "--tokens", "1,7", "--temp", "0"]


def wait_for_output(p):
    """Returns what has come, once something has."""
    ready, _, _ = select.select([p.stdout], [], [], 60)
    check(ready, "no output")
    return os.read(p.stdout.fileno(), 65536)


def wait_for_sessions(h, count):
    """Returns once the history holds so many: an answer has begun then."""
    while len(h.works("log", "--json").json()) < count:
        time.sleep(0.05)


def wait_for_handlers(p):
    """Returns once the program catches signals: before, they just end it."""
    while p.poll() is None:
        status = open(f"/proc/{p.pid}/status").read()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        if caught >> (signal.SIGHUP - 1) & 1:        # the last to be set
            return
        time.sleep(0.01)
    check(False, f"ended before it caught signals: {p.communicate()}")


def last(h):
    return h.messages()[-1]


def test_signals(h):
    args = slow_answer(h)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        p = h.start(*args)
        first = wait_for_output(p)
        p.send_signal(number)
        r = finish(p)
        equal(r.code, 128 + number, r)
        equal(r.err, b"", number)
        check((first + r.out).endswith(b"\n"), r)
        m = last(h)
        equal(m["stop_reason"], "interrupt")
        shown = (first + r.out).decode().rstrip("\n")
        equal(m["content"].rstrip("\n"), shown)


def test_signal_json(h):
    p = h.start(*slow_answer(h), "--stream-json")
    wait_for_output(p)
    p.send_signal(signal.SIGINT)
    r = finish(p)
    equal(r.code, 130, r)
    check(b'"stop_reason":"interrupt"' in r.out.splitlines()[-1], r.out[-300:])
    p = h.start(*slow_answer(h), "--json")
    wait_for_sessions(h, 2)
    p.send_signal(signal.SIGTERM)
    r = finish(p)
    equal((r.code, r.json()["stop_reason"]), (143, "interrupt"))
    equal(r.json()["session"], h.works("log", "--json").json()[0]["session"])


def test_signal_before_input(h):
    p = h.start("run", "-m", tiny(), "--json", stdin=subprocess.PIPE)
    wait_for_handlers(p)
    p.send_signal(signal.SIGINT)
    p.wait(60)
    r = finish(p)
    equal(r.code, 130, r)
    equal(r.json()["text"], "")


def test_timeout(h):
    args = slow_answer(h)
    r = h.run(*args, "--timeout", "0.7", "--json")
    equal(r.code, 124, r)
    equal(len(r.lines), 1, r)
    check("timeout" in r.lines[0], r)
    j = r.json()
    equal(j["stop_reason"], "timeout")
    check(len(j["token_ids"]) > 0, j)
    equal(last(h)["stop_reason"], "timeout")
    equal(last(h)["content"], j["text"])


def test_timeout_covers_input(h):
    p = h.start("run", "-m", tiny(), "--timeout", "0.5", "--json", stdin=subprocess.PIPE)
    p.wait(60)
    r = finish(p)
    equal(r.code, 124, r)
    equal(r.json()["stop_reason"], "timeout")
    h.fails(124, "run", "-m", tiny(), "--timeout", "0.0001", "hi")


def test_timeout_not_reached(h):
    h.works("run", "-m", tiny(), "--timeout", "100.5", "-n", "3", "hi")


def test_reader_gone(h):
    """echo hi | hadal run | head -c1: the writer ends soon, and the text is stored."""
    p = h.start(*slow_answer(h))
    wait_for_output(p)
    p.stdout.close()
    p.stdout = None
    r = finish(p)
    equal(r.code, 141, r)
    equal(r.err or b"", b"", "a reader that went away is no failure to talk about")
    equal(last(h)["stop_reason"], "interrupt")
    check(len(last(h)["content"]) > 0, "nothing was stored")


def test_reader_gone_at_once(h):
    read, write = os.pipe()
    os.close(read)
    p = h.start(*slow_answer(h), stdout=write)
    os.close(write)
    equal(finish(p).code, 141)
    read, write = os.pipe()
    os.close(read)
    p = h.start("doctor", stdout=write)
    os.close(write)
    equal(finish(p).code, 141)


def test_shell_pipe(h):
    line = f"echo hi | '{HADAL}' run -m '{tiny()}' -n 30 | head -n 1; echo ${{PIPESTATUS[1]}}"
    p = subprocess.run(["bash", "-c", line], env=h.env, cwd=h.path, capture_output=True,
                       timeout=60)
    check(p.stdout.split()[-1] in (b"0", b"141"), p)
    equal(p.stderr, b"")


def test_full_disk(h):
    for args in (["run", "-m", tiny(), "-n", "5", "hi"], ["help"], ["doctor", "--json"],
                 ["run", "-m", tiny(), "-n", "5", "--json", "hi"], ["--version"],
                 ["logits", "-m", tiny(), "--tokens", "1"], ["log"], ["list"]):
        h.works("run", "-m", tiny(), "-n", "2", "filler")
        with open("/dev/full", "wb") as full:
            r = finish(h.start(*args, stdout=full))
        if args == ["list"] and r.code == 0:
            continue  # no model, no output
        equal(r.code, 1, (args, r))
        equal(len(r.lines), 1, (args, r))
        check("No space left" in r.lines[0], r)
    equal(h.works("log", "--json").code, 0)


def run_closed(h, redirections, *args):
    line = f"exec '{HADAL}' \"$@\" {redirections}"
    p = subprocess.run(["bash", "-c", line, "bash", *args], env=h.env, cwd=h.path,
                       capture_output=True, timeout=60)
    return p


def test_closed_descriptors(h):
    run = ["run", "-m", tiny(), "-n", "4", "--temp", "0"]
    p = run_closed(h, "<&-", *run, "hi")
    equal(p.returncode, 0, p)
    p = run_closed(h, "<&-", *run)
    check(p.returncode in (1, 2), p)
    p = run_closed(h, ">&-", *run, "hi")
    equal(p.returncode, 1, p)
    check(p.stderr.startswith(b"hadal: ") and p.stderr.count(b"\n") == 1, p)
    p = run_closed(h, "2>&-", *run, "hi")
    equal(p.returncode, 0, p)
    p = run_closed(h, "<&- >&- 2>&-", *run, "hi")
    equal(p.returncode, 1, p)
    equal(h.works("doctor", "--json").json()["database"]["ok"], True)


def test_silent_input(h):
    """After 3 s of silence a line says what is waited for; -q keeps it away."""
    p = h.start("run", "-m", tiny(), "-n", "2", "hi", stdin=subprocess.PIPE)
    ready, _, _ = select.select([p.stderr], [], [], 30)
    check(ready, "no notice")
    check(b"standard input" in os.read(p.stderr.fileno(), 4096), "the notice")
    p.stdin.close()
    p.stdin = None
    equal(finish(p).code, 0)


def test_stdin_that_is_no_input(h):
    """With a PROMPT, a terminal or /dev/null is not read."""
    leader, follower = pty.openpty()
    try:
        p = h.start("run", "-m", tiny(), "-n", "2", "hi", stdin=follower)
        equal(finish(p).code, 0)
    finally:
        os.close(leader)
        os.close(follower)


def on_terminal(h, *args):
    """Runs with standard output on a terminal; what appeared there."""
    leader, follower = pty.openpty()
    p = h.start(*args, stdout=follower)
    os.close(follower)
    seen = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(leader)
    return finish(p), seen


def test_terminal(h):
    """On a terminal the thinking is dim, and the end is a newline."""
    thinking = ["run", "-m", tiny(), "--chat-format", "deepseek-v2", "--temp", "0", "-n",
                "4", "hi"]
    r, seen = on_terminal(h, *thinking)
    equal(r.code, 0, r)
    check(seen.endswith(b"\n"), seen)
    seen.decode("utf-8")
    v3 = fixture("v3/model-Q4_K_M.gguf")
    args = ["run", "-m", v3, "--chat-format", "deepseek-r1", "-n", "4", "--temp", "0", "x"]
    r, seen = on_terminal(h, *args)
    check(seen.startswith(b"\x1b[2m") and b"\x1b[0m" in seen and r.err == b"", seen)
    r, seen = on_terminal(h, *args, "--hide-thinking")
    check(b"\x1b" not in seen, seen)
    h.env["NO_COLOR"] = "1"
    r, seen = on_terminal(h, *thinking)
    check(b"\x1b" not in seen, seen)


def test_history_unwritable(h):
    """A history that cannot be written costs a warning, not the answer."""
    h.file(".local/share/hadal", "a file in the place of the folder")
    r = h.works("run", "-m", tiny(), "-n", "3", "hi")
    equal(len(r.lines), 1, r)
    check("warning" in r.lines[0], r)
    r = h.works("run", "-m", tiny(), "-n", "3", "--json", "hi")
    equal(r.json()["session"], None)
    db = h.file("bad.db", b"this is no database at all, not even a little" * 100)
    r = h.works("run", "-m", tiny(), "-n", "3", "hi", env={"HADAL_DB": db})
    equal(len(r.lines), 1, r)
    equal(h.works("run", "-m", tiny(), "-n", "3", "--no-history", "hi",
                  env={"HADAL_DB": db}).err, b"")
    h.fails(5, "log", env={"HADAL_DB": db})
    h.fails(5, "run", "-c", "hi", "-m", tiny(), env={"HADAL_DB": db})


def test_no_home(h):
    del h.env["HOME"]
    r = h.works("run", "-m", tiny(), "-n", "3", "hi")
    check(len(r.lines) == 1 and "warning" in r.lines[0], r)
    h.works("tokenize", "-m", tiny(), stdin=b"x")


def test_memory(h):
    h.fails(7, "run", "-m", tiny(), "--ctx", "2147483647", "hi", names="--ctx")
    h.fails(7, "run", "-m", tiny(), "--device", "cuda", "hi", names="CUDA") \
        if not h.works("doctor", "--json").json()["gpu"]["available"] else None


def test_file_cut_in_use(h):
    """A mapped model that another program cuts: one line, exit code 3."""
    args = slow_answer(h)
    path = h.file("model.gguf", open(args[2], "rb").read())
    args[2] = path
    p = h.start(*args)
    wait_for_output(p)
    os.truncate(path, 4096)
    r = finish(p)
    equal(r.code, 3, r)
    check(b"changed while in use" in r.err, r)
    check(b"model.gguf" in r.err, r)
    equal(last(h)["stop_reason"], "interrupt")


main()
