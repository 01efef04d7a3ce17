#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every way out gives the terminal back: signals in several screens, a crash, a terminal
that goes away, a storm of resizes. Runs the chat on a pty and looks at every byte."""
import fcntl
import os
import pty
import random
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time

CHAT = os.path.join(os.environ.get("top_builddir", "."), "fake_chat")
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
fails = 0


class Chat:
    """The program on a pty of its own."""

    def __init__(self, rows=24, cols=80, **env):
        self.home = tempfile.TemporaryDirectory(prefix="hadal-signals.")
        self.master, self.slave = pty.openpty()
        self.size(rows, cols)
        self.before = termios.tcgetattr(self.slave)
        environ = dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8", HOME=self.home.name,
                       HADAL_DB=self.home.name + "/h.db", **env)
        self.out = b""
        self.process = subprocess.Popen([CHAT], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, env=environ, start_new_session=True)

    def size(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            self.out += os.read(self.master, 65536)
        except OSError:
            return False
        return True

    def wait(self, what, seconds=20):
        end = time.time() + seconds
        while what not in self.out and time.time() < end:
            self.read(0.1)
        return what in self.out

    def keys(self, text):
        os.write(self.master, text)

    def code(self, seconds=20):
        """The exit code; 128 + n for an end by signal n, as a shell says it."""
        end = time.time() + seconds
        while self.process.poll() is None and time.time() < end:
            self.read(0.05)
        while self.read(0.05):
            pass
        code = self.process.poll()
        if code is None:
            self.process.kill()
            self.process.wait()
            return "none: it hangs"
        return 128 - code if code < 0 else code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            try:
                os.close(fd)
            except OSError:
                pass


def check(ok, what):
    global fails
    if not ok:
        fails += 1
        print("FAIL signals:", what)
    return ok


def check_restored(chat, what):
    out = chat.out
    check(termios.tcgetattr(chat.slave) == chat.before, what + ": termios differ")
    check(out.rfind(LEFT) > out.rfind(ENTERED), what + ": alternate screen not left")
    check(out.rfind(b"\x1b[?2004l") > out.rfind(b"\x1b[?2004h"), what + ": paste mode left on")
    check(out.rfind(b"\x1b[?25h") >= out.rfind(b"\x1b[?25l"), what + ": cursor hidden")


SCREENS = {"chat": b"", "answering": b"many lines\r", "help": b"\x1bOP", "sessions": b"\x1bOQ"}


def test_signals():
    for name in ("INT", "TERM", "HUP", "QUIT", "SEGV", "BUS", "ABRT", "FPE", "ILL"):
        number = getattr(signal, "SIG" + name)
        for screen, keys in SCREENS.items():
            chat = Chat(FAKE_TOKEN_MS="5")
            check(chat.wait(b"0/4096"), name + ": no screen came")
            chat.keys(keys)
            time.sleep(random.uniform(0.02, 0.1))
            chat.process.send_signal(number)
            code = chat.code()
            check(code == 128 + number, f"{name} in {screen}: exit code {code}")
            check_restored(chat, f"{name} in {screen}")
            chat.close()


def test_saved():
    chat = Chat(FAKE_TOKEN_MS="5")
    chat.wait(b"0/4096")
    chat.keys(b"many lines\r")
    chat.wait(b"answering")  # what scrolls is drawn in parts that cannot be looked for
    time.sleep(0.5)
    chat.process.send_signal(signal.SIGTERM)
    check(chat.code() == 143, "SIGTERM: exit code")
    db = sqlite3.connect(chat.home.name + "/h.db")
    tables = db.execute("select name from sqlite_master where type = 'table' and sql not like "
                        "'create virtual%'").fetchall()
    text = "".join(repr(db.execute(f'select * from "{t}"').fetchall()) for t, in tables)
    db.close()
    check("many lines" in text and "line 3 of" in text, "the answer was not saved")
    check("interrupt" in text, "the stop reason was not saved")
    chat.close()


def test_terminal_goes_away():
    chat = Chat()
    chat.wait(b"0/4096")
    os.close(chat.master)
    os.close(chat.slave)
    end = time.time() + 10
    while chat.process.poll() is None and time.time() < end:
        time.sleep(0.05)
    check(chat.process.poll() is not None, "the terminal went away, the program stayed")
    chat.close()


def test_storm():
    chat = Chat(FAKE_TOKEN_MS="1")
    chat.wait(b"0/4096")
    chat.keys(b"many lines\r")
    rng = random.Random(1)
    for i in range(2000):
        chat.size(rng.randint(1, 200), rng.randint(1, 500))
        chat.process.send_signal(signal.SIGWINCH)
        if i % 20 == 0:
            chat.read(0)
    chat.size(1, 1)
    time.sleep(0.1)
    chat.size(24, 80)
    chat.out = b""
    check(chat.wait(b"F3 search"), "no screen after the storm")
    chat.keys(b"\x04")
    check(chat.code() == 0, "exit code after the storm")
    check_restored(chat, "storm")
    chat.close()


def test_stops():
    chat = Chat()
    chat.wait(b"0/4096")
    for _ in range(20):
        chat.process.send_signal(signal.SIGSTOP)
        time.sleep(0.005)
        chat.process.send_signal(signal.SIGCONT)
        chat.read(0)
    chat.out = b""
    chat.keys(b"still there")
    check(chat.wait(b"there"), "no screen after STOP and CONT")
    chat.keys(b"\x15\x04")
    check(chat.code() == 0, "exit code after STOP and CONT")
    check_restored(chat, "STOP and CONT")
    chat.close()


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().split()
    return int(fields[13]) + int(fields[14])


def test_idle():
    chat = Chat()
    chat.wait(b"0/4096")
    while chat.read(0.3):
        pass
    before = cpu_ticks(chat.process.pid)
    time.sleep(1)
    check(cpu_ticks(chat.process.pid) - before <= 5, "it spins while nothing happens")
    chat.keys(b"\x04")
    check(chat.code() == 0, "exit code")
    chat.close()


for test in (test_signals, test_saved, test_terminal_goes_away, test_storm, test_stops, test_idle):
    test()
sys.exit(1 if fails else 0)
