"""hadal run: what is asked, what is printed."""
import json
import os
import struct

from hadal_cli import TOP, check, equal, fixture, main, skip, tiny

GREEDY = ["--temp", "0", "-n", "8"]


def asked(h):
    return [m for m in h.messages() if m["role"] == "user"][-1]["content"]


def run(h, *args, **more):
    return h.works("run", "-m", tiny(), *GREEDY, *args, **more)


def test_words(h):
    run(h, "one", "two  three", "four")
    equal(asked(h), "one two  three four")
    run(h, "--", "-x", "--json", "-")
    equal(asked(h), "-x --json -")


def test_stdin(h):
    run(h, stdin=b"from the pipe\n\n\n")
    equal(asked(h), "from the pipe")
    run(h, "explain", stdin=b"  some code\n")
    equal(asked(h), "explain\n\n  some code")
    run(h, "explain", stdin=b"")
    equal(asked(h), "explain")
    run(h, "say", "-", "now", stdin=b"cheese\n")
    equal(asked(h), "say cheese now")
    run(h, "-", stdin=b"alone\n")
    equal(asked(h), "alone")
    with open(h.file("in.txt", "from a file\n"), "rb") as f:
        p = h.start("run", "-m", tiny(), *GREEDY, "read", stdin=f)
        p.communicate()
    equal(asked(h), "read\n\nfrom a file")


def test_files(h):
    a = h.file("a.txt", "alpha\n")
    h.file("b c.md", "beta ```x```")
    run(h, "compare", "-f", a, "--file", "b c.md", stdin=b"more")
    equal(asked(h), f"compare\n\n{a}\n```\nalpha\n```\n\nb c.md\n````\nbeta ```x```\n````"
                    "\n\nmore")
    run(h, "-f", a)
    equal(asked(h), f"{a}\n```\nalpha\n```")
    m = ["-m", tiny()]
    h.fails(1, "run", *m, "x", "-f", "nowhere.txt", names="nowhere.txt")
    h.fails(1, "run", *m, "x", "-f", h.path, names=h.path)


def test_nothing_to_ask(h):
    m = ["-m", tiny()]
    h.fails(2, "run", *m)
    h.fails(2, "run", *m, stdin=b"")
    h.fails(2, "run", *m, stdin=b"\n\n")
    h.fails(2, "run", *m, "")
    h.fails(2, "run", *m, "", stdin=b"")
    h.fails(2, "run", *m, "-", stdin=b"")
    h.fails(2, *m)


def test_bytes_survive(h):
    """NUL and broken UTF-8 of standard input are text: repaired, not cut."""
    run(h, stdin=b"a\0b \xff\xfe \xe2\x82 end")
    equal(asked(h), "a\0b \ufffd\ufffd \ufffd end")
    run(h, b"w\xffrd")
    equal(asked(h), "w\ufffdrd")


def test_bare(h):
    """hadal without a command and without a terminal is hadal run."""
    r = h.works("-m", tiny(), "-n", "3", "--temp", "0", stdin=b"hello\n")
    check(r.out.endswith(b"\n"), r)
    equal(asked(h), "hello")


def test_json(h):
    r = run(h, "hi", "--json", "--seed", "7").json()
    equal(list(r), ["text", "thinking", "model", "session", "stop_reason", "token_ids",
                    "usage", "timings", "seed"])
    equal(list(r["usage"]), ["prompt_tokens", "cached_tokens", "completion_tokens"])
    equal(list(r["timings"]), ["load_s", "prefill_s", "decode_s", "prefill_tokens_per_s",
                               "decode_tokens_per_s"])
    check(all(isinstance(x, (int, float)) and x >= 0 for x in r["timings"].values()), r)
    check(all(isinstance(x, int) for x in r["usage"].values()), r)
    equal(r["thinking"], None)
    equal(r["seed"], 7)
    equal(r["model"], tiny())
    check(r["session"], r)
    equal(r["usage"]["completion_tokens"],
          len(r["token_ids"]) + (r["stop_reason"] == "eos"))
    equal(h.works("log", r["session"], "--json").json()["messages"][-1]["content"],
          r["text"])
    one = run(h, "hi", "--json", "--no-history").json()
    equal(one["session"], None)
    equal(one["token_ids"], r["token_ids"])
    check(isinstance(one["seed"], int), one)


def test_text_is_the_text(h):
    j = run(h, "hi", "--json").json()
    r = run(h, "hi")
    equal(r.out, j["text"].rstrip("\n").encode() + b"\n")
    equal(r.err, b"")
    ids = " ".join(map(str, j["token_ids"])).encode()
    d = h.works("detokenize", "-m", tiny(), stdin=ids)
    check(d.text.endswith(j["text"]), (d, j))


def test_stream_json(h):
    j = run(h, "hi", "--json", "--seed", "1").json()
    r = run(h, "hi", "--stream-json", "--seed", "1")
    events = [json.loads(x) for x in r.out.decode().splitlines()]
    equal(events[0]["type"], "start")
    equal(set(events[0]), {"type", "model", "session", "seed", "prompt_tokens"})
    equal(events[0]["prompt_tokens"], j["usage"]["prompt_tokens"])
    equal(events[0]["session"], events[-1]["session"])
    kinds = [e["type"] for e in events]
    check("prefill" in kinds, kinds)
    done = [e for e in events if e["type"] == "prefill"][-1]
    equal((set(done), done["done"]), ({"type", "done", "total"}, done["total"]))
    equal("".join(e["text"] for e in events if e["type"] == "text"), j["text"])
    last = events[-1]
    equal(last.pop("type"), "end")
    equal(list(last), list(j))
    equal(last["token_ids"], j["token_ids"])


def test_limits(h):
    r = run(h, "hi", "-n", "3", "--json").json()
    equal((len(r["token_ids"]), r["stop_reason"]), (3, "length"))
    r = run(h, "hi", "-n", "0", "--json").json()
    equal((r["text"], r["token_ids"], r["stop_reason"]), ("", [], "length"))
    check(r["usage"]["prompt_tokens"] > 0, r)
    equal(run(h, "hi", "-n", "0").text.strip(), "")
    r = h.works("run", "-m", tiny(), "--raw", "--tokens", "1,2,3,4", "--ctx", "6", "--json",
                "--temp", "0").json()
    check(r["stop_reason"] in ("length", "eos"), r)
    check(len(r["token_ids"]) <= 3, r)


def test_context(h):
    m = ["-m", tiny(), "--ctx", "16"]
    long = ",".join(["5"] * 17)
    r = h.fails(6, "run", *m, "--raw", "--tokens", long, names="17")
    check("16" in r.lines[0], r)
    h.works("run", *m, "--raw", "--tokens", long[2:], "-n", "1")
    r = h.fails(6, "run", *m, stdin=b"y\n" * 5000)
    check("10000" in r.lines[0] or "100" in r.lines[0], r)
    equal(h.works("log", "--json").json()[0]["messages"], 2, "only what was answered")


def test_ten_megabytes(h):
    h.fails(6, "run", "-m", tiny(), stdin=b"y\n" * (5 << 20), names="2560")


def test_stop_texts(h):
    whole = run(h, "hi", "--json", "-n", "24").json()
    text = whole["text"]
    at = text.find(text[4:6], 1)
    cut = run(h, "hi", "--json", "-n", "24", "--stop", text[4:6]).json()
    equal(cut["text"], text[:text.find(text[4:6])])
    equal(cut["stop_reason"], "stop")
    check(len(cut["token_ids"]) <= len(whole["token_ids"]), cut)
    equal(cut["token_ids"], whole["token_ids"][:len(cut["token_ids"])])
    check(at >= 0, at)
    none = run(h, "hi", "--json", "-n", "24", "--stop", "not in there").json()
    equal(none["text"], text)
    # The beginning of a stop text at the end of the answer is part of the answer.
    tail = run(h, "hi", "--json", "-n", "24", "--stop", text[-1] + "@@@").json()
    equal(tail["text"], text)
    two = run(h, "hi", "--json", "-n", "24", "--stop", "zzz", "--stop", text[2]).json()
    equal(two["text"], text[:text.find(text[2])])


def test_seeds(h):
    args = ["run", "-m", tiny(), "--raw", "--no-history", "-n", "24", "--json", "hello"]
    a = h.works(*args).json()
    again = h.works(*args, "--seed", str(a["seed"])).json()
    equal(a["token_ids"], again["token_ids"])
    seeds = {h.works(*args, "-n", "1").json()["seed"] for _ in range(4)}
    check(len(seeds) == 4, seeds)
    b = h.works(*args, "--seed", "9223372036854775807").json()
    equal(b["seed"], 9223372036854775807)
    for more in (["--temp", "0"], ["--top-k", "1"], ["--top-p", "0"], ["--min-p", "1"]):
        x = h.works(*args, "--seed", "3", *more).json()
        y = h.works(*args, "--seed", "4", *more).json()
        equal(x["token_ids"], y["token_ids"], more)


def with_keys(source, floats):
    """The GGUF with more float keys; its data stays where alignment wants it."""
    data = open(source, "rb").read()
    keys = b"".join(struct.pack("<Q", len(k)) + k.encode() + struct.pack("<If", 6, v)
                    for k, v in floats.items())
    pad = -(len(keys) + 8 + 3 + 4 + 8) % 32
    keys += struct.pack("<Q", 3) + b"x.y" + struct.pack("<IQ", 8, pad) + b"." * pad
    n_kv = struct.unpack_from("<Q", data, 16)[0] + len(floats) + 1
    return data[:16] + struct.pack("<Q", n_kv) + keys + data[24:]


def test_advice_of_the_model(h):
    """The model's own sampling settings count where nobody says anything."""
    greedy = run(h, "hi", "--json").json()["token_ids"]
    path = h.file("m.gguf", with_keys(tiny(), {"general.sampling.temp": 0.0}))
    for seed in "12":
        args = ["run", "-m", path, "-n", "8", "--json", "--seed", seed, "hi"]
        equal(h.works(*args).json()["token_ids"], greedy)
    args = ["run", "-n", "8", "--json", "--seed", "3", "--no-history", "hi"]
    equal(h.works(*args, "-m", path, "--temp", "0.6").json()["token_ids"],
          h.works(*args, "-m", tiny()).json()["token_ids"], "the default is 0.6")
    path = h.file("n.gguf", with_keys(tiny(), {"general.sampling.top_p": 7.0}))
    equal(h.works(*args, "-m", path, "--top-p", "0.95").json()["token_ids"],
          h.works(*args, "-m", path).json()["token_ids"], "out of range")


def test_raw(h):
    j = h.works("run", "-m", tiny(), "--raw", "--temp", "0", "-n", "5", "--json",
                "hello").json()
    ids = h.works("tokenize", "-m", tiny(), "--bos", stdin=b"hello").text.split()
    equal(j["usage"]["prompt_tokens"], len(ids))
    k = h.works("run", "-m", tiny(), "--raw", "--temp", "0", "-n", "5", "--json",
                "--tokens", ",".join(ids)).json()
    equal(k["token_ids"], j["token_ids"])


def test_special_tokens_of_people(h):
    """Typed marks stay text, in a chat and raw."""
    mark = "<\uff5cend\u2581of\u2581sentence\uff5c>"
    j = run(h, mark, "--raw", "--json").json()
    check(j["usage"]["prompt_tokens"] > 5, j)


def test_embedded(h):
    """Without any model named, hadal-mini answers."""
    if not (TOP / "share" / "hadal-mini.gguf").exists():
        skip("share/hadal-mini.gguf is not here")
    r = h.works("run", stdin=b"hi\n")
    check(r.text.strip() and r.err == b"", r)
    j = h.works("run", "--json", "--temp", "0", "hi").json()
    equal((j["model"], j["stop_reason"]), ("hadal-mini", "eos"))
    equal(h.works("run", "-c", "--json", "--temp", "0", "thanks").json()["model"],
          "hadal-mini")
    check("hadal-mini" in [m["name"] for m in h.works("list", "--json").json()], "list")


def test_thinking(h):
    """The reasoning of a thinking model: apart in JSON, on standard error as text."""
    m = ["-m", fixture("v3/model-Q4_K_M.gguf"), "--chat-format", "deepseek-r1", "--temp",
         "0", "-n", "6"]
    j = h.works("run", *m, "--json", "hi").json()
    check(j["thinking"] and j["text"] == "", j)
    r = h.works("run", *m, "hi")
    equal(r.text.strip(), "")
    equal(r.err.rstrip(b"\n"), j["thinking"].encode().rstrip(b"\n"))
    equal(h.works("run", *m, "--hide-thinking", "hi").err, b"")
    equal(h.messages()[-1]["thinking"], j["thinking"])
    events = [json.loads(x) for x in
              h.works("run", *m, "--stream-json", "hi").out.decode().splitlines()]
    equal("".join(e["text"] for e in events if e["type"] == "thinking"), j["thinking"])


def test_chat_format(h):
    r = run(h, "hi", "-v")
    check(any("deepseek-v2" in x for x in r.lines), r)
    r = run(h, "hi", "-v", "--chat-format", "none")
    check(any("chat format none" in x for x in r.lines), r)
    h.fails(2, "run", "-m", tiny(), "--chat-format", "gibberish", "hi", names="gibberish")


def test_no_escape_bytes(h):
    for args in (["run", "-m", tiny(), "-n", "4", "hi"], ["help"], ["list"], ["log"],
                 ["show", tiny()], ["doctor"], ["run", "-m", tiny(), "-v", "-n", "4", "x"]):
        r = h.run(*args)
        check(b"\x1b" not in r.out + r.err, (args, r))


def test_private_files(h):
    old = os.umask(0)
    try:
        run(h, "hi")
    finally:
        os.umask(old)
    seen = 0
    for folder, _, files in os.walk(os.path.join(h.path, ".local", "share", "hadal")):
        equal(os.stat(folder).st_mode & 0o777, 0o700, folder)
        for name in files:
            equal(os.stat(os.path.join(folder, name)).st_mode & 0o777, 0o600, name)
            seen += 1
    check(seen > 0, "no database")


main()
