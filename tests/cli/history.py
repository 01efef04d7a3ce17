#!/usr/bin/env python3
"""hadal log, search, export and import as scripts see them."""
import json
import os
import pty
import re
import sqlite3
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


def without_numbers(sessions):
    for one in sessions:
        for m in one["messages"]:
            del m["message"]
    return sessions


def export_and_import(folder, first):
    other = os.path.join(folder, "other.db")
    whole = without_numbers(json.loads(hadal("export", "--format", "json")))
    check([s["session"] for s in whole][0] == first, "export is oldest first")
    for form in ("json", "jsonl"):
        path = os.path.join(folder, "export." + form)
        with open(path, "wb") as f:
            f.write(hadal("export", "--format", form))
        counts = data("import", path, db=other)
        check(counts["sessions"] == len(whole), f"{form}: {counts}")
        again = data("import", path, db=other)
        check(again == {"sessions": 0, "messages": 0, "already_here": len(whole)},
              f"{form} again: {again}")
        back = without_numbers(json.loads(hadal("export", "--format", "json", db=other)))
        # A seed beyond 2^53 is no exact number of JSON.
        for s in whole + back:
            for m in s["messages"]:
                if m["seed"] is not None and m["seed"] > 2**53:
                    m["seed"] = None
        check(back == whole, f"{form}: export, import, export differ")
        check(data("search", "模型", db=other), "what was imported is found")
        os.remove(other)
    one = hadal("export", first[:6], "--format", "md").decode()
    check(one.startswith("# How do I write a parser?\n") and "## assistant" in one, "md")
    page = hadal("export", "--format", "html").decode()
    check("<script" not in page and "\033" not in page, "html has no live text")
    hadal("export", "nobody!", code=3)
    hadal("export", "--format", "pdf", code=2)


def import_foreign(folder):
    db = os.path.join(folder, "foreign.db")
    path = os.path.join(folder, "foreign.json")

    def give(value, **kw):
        with open(path, "w") as f:
            f.write(value if isinstance(value, str) else json.dumps(value))
        return hadal("import", path, db=db, **kw)

    def node(parent, role, *parts, **more):
        message = {"author": {"role": role}, "create_time": 1700000000.5,
                   "content": {"content_type": "text", "parts": list(parts)}, **more}
        return {"parent": parent, "message": message}

    give([{"title": "A chat", "conversation_id": "5D2F-aa", "create_time": 1700000000,
           "current_node": "c",
           "mapping": {"r": {"parent": None, "message": None},
                       "a": node("r", "user", "first try"),
                       "b": node("r", "user", "second try", {"image": 1}),
                       "t": node("b", "tool", "noise"),
                       "c": node("t", "assistant", "an answer",
                                 metadata={"model_slug": "gpt-x"})}}])
    chat = data("log", "5d2f-aa", db=db)
    check([m["content"] for m in chat["messages"]] == ["second try", "an answer"],
          f"the current branch: {chat}")
    check(chat["created"] == "2023-11-14T22:13:20Z" and chat["model"] == "gpt-x", f"{chat}")

    give('[{"messages":[{"role":"user","content":"before\\u0000after \\\\u0000"}]}]')
    session = data("search", "before", db=db)[0]["session"]
    check(data("log", session, db=db)["messages"][0]["content"] ==
          "before\ufffdafter \\u0000", "a NUL in a string becomes U+FFFD")

    give({"messages": [{"role": "developer", "content": "be brief"},
                       {"role": "user", "content": [{"type": "text", "text": "openai"}]},
                       {"role": "tool", "content": "left out"},
                       {"role": "assistant", "content": "yes"}]})
    chat = data("log", data("search", "openai", db=db)[0]["session"], db=db)
    check([m["role"] for m in chat["messages"]] == ["system", "user", "assistant"], "roles")
    give([{"role": "user", "content": "a bare list"}])
    give('{"messages": [{"role": "user", "content": "line one"}]}\n'
         '{"messages": [{"role": "user", "content": "line two"}]}\n')
    check(len(data("search", "line", db=db)) == 2, "JSON Lines")

    before = hadal("log", "--json", db=db)
    # A circle of parents ends; what is no export is refused, and nothing of it is kept.
    give([{"title": "circle", "current_node": "x", "mapping": {
        "x": node("y", "user", "x"), "y": node("x", "user", "y")}}])
    for bad in ("{", "[1]", '{"a": 1}', "null", '[{"messages": []}, {"a": 1}]',
                '{"messages": [{"role": "user", "content": "kept?"}]}\n{"a": 1}\n', ""):
        give(bad, code=2)
    check(data("search", "kept", db=db) == [], "a failed import leaves nothing")
    check(len(data("log", db=db)) == len(json.loads(before)) + 1, "only the circle came")
    hadal("import", os.path.join(folder, "missing"), code=1, db=db)
    hadal("import", folder, code=1, db=db)
    import_llm(folder, db)


def import_llm(folder, db):
    path = os.path.join(folder, "logs.db")
    con = sqlite3.connect(path)
    con.executescript("""
        CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
        CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT,
            prompt_json TEXT, options_json TEXT, response TEXT, response_json TEXT,
            conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT);
        INSERT INTO conversations VALUES ('01H8ABC', 'llamas', 'gpt-4');
        INSERT INTO responses (id, model, prompt, system, response, conversation_id,
            datetime_utc) VALUES
            ('r1', 'gpt-4', 'q one', 'sys', 'a one', '01H8ABC',
             '2023-08-17T20:53:58.618522'),
            ('r2', 'gpt-4', 'q alone', NULL, 'a alone', NULL, '2023-08-18T00:00:00'),
            ('r3', 'gpt-4', 'q two', 'sys', 'a two', '01H8ABC',
             '2023-08-19T00:00:00+00:00');""")
    con.close()
    check(data("import", path, db=db) == {"sessions": 2, "messages": 7, "already_here": 0},
          "llm counts")
    chat = data("log", "01h8abc", db=db)
    check([m["content"] for m in chat["messages"]] ==
          ["sys", "q one", "a one", "q two", "a two"], f"llm: {chat}")
    check(chat["title"] == "llamas" and chat["created"] == "2023-08-17T20:53:58Z",
          f"llm: {chat}")
    hadal("import", DB, code=2, db=db)


def repair(folder):
    """A page is overwritten: the rest is saved to a copy, the file stays as it is."""
    db = os.path.join(folder, "hurt.db")
    for i in range(30):
        subprocess.run([SAY, db, "new", "user", f"question {i} " + "x" * 3000], check=True,
                       capture_output=True)
    check(json.loads(hadal("doctor", "--repair", "--json", db=db))["repaired"] is None, "sound")
    with open(db, "r+b") as f:
        f.seek(os.path.getsize(db) // 4096 // 2 * 4096)
        f.write(b"\xa5" * 4096)
        f.seek(0)
        hurt = f.read()
    hadal("log", code=5, db=db)
    got = json.loads(hadal("doctor", "--repair", "--json", db=db))
    check(got["repaired"] == db + ".repaired" and 20 < got["messages"] <= 30, got)
    with open(db, "rb") as f:
        check(f.read() == hurt, "the damaged file has changed")
    check(len(data("log", db=got["repaired"])) == got["sessions"], "the copy")
    hadal("doctor", "--repair", code=1, db=db)  # the copy is there already


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
    export_and_import(folder, first)
    import_foreign(folder)
    terminal(say("new", "user", "evil \033]0;evil\007 \x9b31m \r\b text \x7f"))
    bad_databases(folder)
    repair(folder)

sys.exit(1 if failures else 0)
