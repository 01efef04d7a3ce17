#!/usr/bin/env python3
"""hadal log and hadal search as scripts see them: JSON, text, exit codes."""
import json
import os
import pty
import re
import subprocess
import sys
import tempfile

BUILD = os.environ.get("top_builddir", ".")
HADAL = os.environ.get("HADAL", os.path.join(BUILD, "hadal"))
SAY = os.path.join(BUILD, "history_say")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAIL", what, file=sys.stderr)


def hadal(*args, code=0, db=None):
    env = dict(os.environ, HADAL_DB=db or DB)
    r = subprocess.run([HADAL, *args], env=env, capture_output=True, timeout=60,
                       stdin=subprocess.DEVNULL)
    check(r.returncode == code, f"{args}: exit {r.returncode}, not {code}: {r.stderr!r}")
    if code != 0:
        check(r.stderr.startswith(b"hadal: ") and r.stderr.count(b"\n") == 1,
              f"{args}: one line, not {r.stderr!r}")
        check(r.stdout == b"", f"{args}: nothing on standard output")
    return r.stdout


def data(*args, **kw):
    return json.loads(hadal(args[0], "--json", *args[1:], **kw))


def say(session, role, *texts):
    return subprocess.run([SAY, DB, session, role, *texts], check=True,
                          capture_output=True, text=True).stdout.strip()


def on_terminal(*args):
    """What the command writes when standard output is a terminal."""
    out = b""
    main, sub = pty.openpty()
    p = subprocess.Popen([HADAL, *args], env=dict(os.environ, HADAL_DB=DB, TERM="xterm"),
                         stdin=subprocess.DEVNULL, stdout=sub, stderr=subprocess.DEVNULL)
    os.close(sub)
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(main)
    check(p.wait() == 0, f"{args} on a terminal: exit {p.returncode}")
    return out


def empty():
    check(data("log") == [], "no database: log is []")
    check(data("search", "x") == [], "no database: search is []")
    check(hadal("log") == b"" and hadal("search", "x") == b"", "no database: no lines")
    hadal("log", "abc", code=3)
    check(not os.path.exists(DB), "reading made a file")


def listing(first, second):
    rows = data("log")
    check([r["session"] for r in rows] == [second, first], "log is newest first")
    row = rows[1]
    check(list(row) == ["session", "title", "model", "created", "updated", "messages"],
          f"members of log: {list(row)}")
    check(row["title"] == "How do I write a parser?", f"title {row['title']!r}")
    check(row["messages"] == 3 and row["model"] == "org/tiny:Q8_0", f"row {row}")
    check(TIME.match(row["created"]) and TIME.match(row["updated"]), f"times {row}")
    text = hadal("log").decode()
    check(text.count("\n") == 2 and first in text, f"log: {text!r}")


def one_session(first):
    one = data("log", first)
    check(list(one) == ["session", "title", "model", "created", "updated", "messages"],
          f"members of a session: {list(one)}")
    check([m["role"] for m in one["messages"]] == ["system", "user", "assistant"], "roles")
    m = one["messages"][2]
    check(list(m) == ["message", "role", "content", "thinking", "time", "model",
                      "stop_reason", "seed"], f"members of a message: {list(m)}")
    check(m["content"] == "With care.\n" and m["thinking"] == "hm, parsers", f"{m}")
    check(m["seed"] == 2**64 - 1 and m["stop_reason"] == "eos", f"{m}")
    check(one["messages"][1]["seed"] is None, "no seed is null")
    check(one["messages"][1]["thinking"] is None, "no thinking is null")
    for n in range(4, len(first)):
        check(data("log", first[:n])["session"] == first, f"prefix of {n}")
    hadal("log", "zzzzzzzz!", code=3)
    hadal("log", "", code=2)
    hadal("log", first, "more", code=2)
    check(b"With care.\n" in hadal("log", first), "log SESSION prints the text")


def searching(first, second):
    hit = data("search", "parser")[0]
    check(list(hit) == ["session", "message", "role", "title", "time", "snippet", "rank"],
          f"members of a hit: {list(hit)}")
    check(hit["session"] == first and hit["role"] == "user", f"{hit}")
    check("parser" in hit["snippet"] and TIME.match(hit["time"]), f"{hit}")
    check(data("search", "write", "a", "parser") == [hit] or
          data("search", "write", "a", "parser")[0]["message"] == hit["message"], "words")
    check(data("search", '"a parser"')[0]["session"] == first, "phrase")
    check(data("search", '"parser a"') == [], "phrase in the wrong order")
    check(data("search", "pars*") and data("search", "pars") == [], "prefix")
    check(data("search", "模型")[0]["session"] == second, "Chinese part")
    check(data("search", "parser", "--role", "system") == [], "--role")
    check(data("search", "parser", "--role=user"), "--role=user")
    check(data("search", "parser", "--model", "org/tiny:Q8_0"), "--model")
    check(data("search", "parser", "--model", "other") == [], "--model other")
    check(data("search", "parser", "--since", "24h"), "--since 24h")
    check(data("search", "parser", "--since", "2999-01-01") == [], "--since later")
    check(len(data("search", "care OR 模型")) == 0, "OR is a word")
    check(len(data("search", "the", "--limit", "1")) <= 1, "--limit")
    both = data("search", "parsers", "--best")
    check(both and both[0]["rank"] > 0, "--best")
    check(data("search", "") == [] and data("search", '"*()[]{}:^') == [], "no words")
    check(data("search", "--", "-parser")[0]["session"] == first, "a dash is only text")
    hadal("search", code=2)
    hadal("search", "x", "--since", "soon", code=2)
    hadal("search", "x", "--role", "robot", code=2)
    hadal("search", "x", "--limit", "-1", code=2)


def terminal(evil):
    for args in (["log"], ["log", evil], ["search", "evil"], ["log", evil, "--json"],
                 ["search", "evil", "--json"]):
        out = on_terminal(*args, "--color", "never")
        bad = re.findall(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", out)
        check(not bad, f"{args} lets {bad[:3]} reach the terminal")
    check(b"\033]0;evil\007" in hadal("log", evil), "a pipe gets exact bytes")
    check(b"\033" not in hadal("log"), "no escape code of hadal's in a pipe")
    check(b"\033[" in on_terminal("log"), "colour on a terminal")
    check(b"\033[" in hadal("search", "care", "--color", "always"), "--color always")


def bad_databases(folder):
    path = os.path.join(folder, "bad.db")
    for content in (b"not a database, but long enough to hold a header" * 9, b"x"):
        with open(path, "wb") as f:
            f.write(content)
        for args in (["log"], ["log", "x"], ["search", "x"], ["log", "--json"]):
            hadal(*args, code=5, db=path)
        with open(path, "rb") as f:
            check(f.read() == content, "a bad database was changed")
    hadal("log", code=5, db=folder)
    with open(DB, "rb") as f:
        good = f.read()
    with open(path, "wb") as f:
        f.write(good[: len(good) // 2])
    hadal("log", code=5, db=path)


with tempfile.TemporaryDirectory() as folder:
    DB = os.path.join(folder, "data", "history.db")
    empty()
    first = say("new", "system", "You are terse.")
    say(first, "user", "How do I write a parser?\nIn C, please.")
    say(first, "assistant", "With care.\n", "hm, parsers")
    second = say("new", "user", "大模型推理很快")
    listing(first, second)
    one_session(first)
    searching(first, second)
    terminal(say("new", "user", "evil \033]0;evil\007 \x9b31m \r\b text \x7f"))
    bad_databases(folder)

sys.exit(1 if failures else 0)
