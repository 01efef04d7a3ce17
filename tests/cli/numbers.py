"""tokenize, detokenize, render, logits, perplexity, bench beside the references."""
import array
import json
import math
import os

from hadal_cli import SHARED, check, equal, fixture, main, skip, tiny

MODELS = ["dense-gqa/model-f32", "moe-v1/model-f16", "v2-lite/model-f16", "v2/model-f16",
          "v3/model-f16"]


def each_model():
    """(path, expected.json) of the float models that are here."""
    found = []
    for name in MODELS:
        for root in ("tests/data/models", None):
            base = (SHARED / "fixtures") if root is None else None
            base = base or __import__("hadal_cli").TOP / root
            path = base / (name + ".gguf")
            expected = base / name.split("/")[0] / "expected.json"
            if path.exists() and expected.exists():
                found.append((str(path), json.load(open(expected))))
                break
    check(found, "no model at all")
    return found


def ids_of(prompt):
    return ",".join(map(str, prompt["ids"]))


def test_logits(h):
    for path, expected in each_model():
        for prompt in expected["prompts"]:
            j = h.works("logits", "-m", path, "--tokens", ids_of(prompt)).json()
            equal(list(j), ["tokens", "vocab", "logits"])
            equal((j["tokens"], j["vocab"]), (prompt["ids"], len(j["logits"])))
            worst = max(abs(a - b) for a, b in zip(j["logits"], prompt["last_logits"]))
            check(worst <= 0.002, f"{path}: logits differ by {worst}")


def test_greedy(h):
    for path, expected in each_model():
        for prompt in expected["prompts"]:
            j = h.works("run", "-m", path, "--raw", "--tokens", ids_of(prompt), "--temp",
                        "0", "-n", str(len(prompt["greedy"])), "--json",
                        "--no-history").json()
            n = len(j["token_ids"])
            equal(j["token_ids"], prompt["greedy"][:n], path)
            check(n == len(prompt["greedy"]) or j["stop_reason"] == "eos", j)


def test_logits_file(h):
    out = os.path.join(h.path, "l.bin")
    ids = "1,2,3,4,5"
    r = h.works("logits", "-m", tiny(), "--tokens", ids, "--all", "-o", out)
    equal(r.out, b"")
    rows = array.array("f", open(out, "rb").read())
    j = h.works("logits", "-m", tiny(), "--tokens", ids, "--all").json()
    equal(len(rows), 5 * j["vocab"])
    equal([len(x) for x in j["logits"]], [j["vocab"]] * 5)
    flat = [x for row in j["logits"] for x in row]
    equal(list(rows), list(array.array("f", flat)), "JSON is exact for float32")
    h.works("logits", "-m", tiny(), "--tokens", ids, "-o", out)
    equal(os.path.getsize(out), 4 * j["vocab"])
    last = array.array("f", open(out, "rb").read())
    check(max(abs(a - b) for a, b in zip(last, rows[-j["vocab"]:])) < 1e-3, "last row")
    h.fails(1, "logits", "-m", tiny(), "--tokens", ids, "-o", "/no/where")
    h.fails(1, "logits", "-m", tiny(), "--tokens", ids, "-o", "/dev/full")
    h.fails(6, "logits", "-m", tiny(), "--tokens", ids, "--ctx", "4")


def test_perplexity(h):
    ids = list(range(3, 60))
    rows = h.works("logits", "-m", tiny(), "--all", "--tokens",
                   ",".join(map(str, ids))).json()["logits"]
    nll = 0.0
    for row, want in zip(rows, ids[1:]):
        top = max(row)
        nll += top + math.log(sum(math.exp(x - top) for x in row)) - row[want]
    nll /= len(ids) - 1
    for text in (" ".join(map(str, ids)), ", ".join(map(str, ids)) + "\n"):
        j = h.works("perplexity", "-m", tiny(), "--json", "--tokens-file",
                    h.file("ids.txt", text)).json()
        equal(list(j), ["tokens", "nll", "perplexity"])
        equal(j["tokens"], len(ids) - 1)
        check(abs(j["nll"] - nll) < 0.01, (j, nll))
        check(abs(j["perplexity"] - math.exp(j["nll"])) < 1e-6 * j["perplexity"], j)
    text = b"Some text to predict.\n"
    n = len(h.works("tokenize", "-m", tiny(), "--bos", stdin=text).text.split())
    j = h.works("perplexity", "-m", tiny(), "--json", h.file("t.txt", text)).json()
    equal(j["tokens"], n - 1)
    check("perplexity" in h.works("perplexity", "-m", tiny(), "t.txt").text, "text")
    h.fails(1, "perplexity", "-m", tiny(), "nowhere.txt", names="nowhere.txt")
    h.fails(2, "perplexity", "-m", tiny(), "--tokens-file", h.file("x", "1 b 2"))
    h.fails(2, "perplexity", "-m", tiny(), "--tokens-file", h.file("y", "7"))


def test_cache_type(h):
    """Half floats change little, eight bits little more; the types are those of the help."""
    path = fixture("v2/model-f16.gguf")
    args = ("logits", "-m", path, "--tokens", "1,17,5,88,200,3,42")
    made = {t: h.works(*args, "--cache-type", t).json()["logits"] for t in ("f32", "f16", "q8_0")}
    equal(h.works(*args).json()["logits"], made["f32"])
    off = {t: max(abs(a - b) for a, b in zip(x, made["f32"])) for t, x in made.items()}
    check(0 < off["f16"] < off["q8_0"] < 1, off)
    h.fails(2, *args, "--cache-type", "q4_0", names="--cache-type")
    h.works("bench", "-m", path, "-p", "8", "-n", "2", "-r", "1", "--cache-type", "q8_0")


def test_tokenize(h):
    cases = [b"", b"hello", b"  two  spaces  ", b"a\r\nb\n\n\n", b"nul\0byte", b"\n",
             "caf\u00e9 \U0001f600 \u4e2d\u6587".encode()]
    for text in cases:
        r = h.works("tokenize", "-m", tiny(), stdin=text)
        if not text:
            equal(r.out, b"")
            continue
        check(r.out.endswith(b"\n") and r.out.count(b"\n") == 1, r)
        ids = r.text[:-1].split(" ")
        check(all(x.isdigit() for x in ids), r)
        equal(h.works("detokenize", "-m", tiny(), stdin=r.out).out, text)
    equal(h.works("detokenize", "-m", tiny(), stdin=b"").out, b"")
    h.fails(2, "detokenize", "-m", tiny(), stdin=b"1 2 x")
    h.fails(2, "detokenize", "-m", tiny(), stdin=b"100000")


def test_tokenize_special(h):
    mark = "<\uff5cend\u2581of\u2581sentence\uff5c>".encode()
    one = h.works("tokenize", "-m", tiny(), "--special", stdin=mark).text.split()
    equal(len(one), 1)
    equal(h.works("detokenize", "-m", tiny(), stdin=one[0].encode()).out, mark)
    check(len(h.works("tokenize", "-m", tiny(), stdin=mark).text.split()) > 1, "plain")
    with_bos = h.works("tokenize", "-m", tiny(), "--bos", stdin=b"hi").text.split()
    equal(with_bos[1:], h.works("tokenize", "-m", tiny(), stdin=b"hi").text.split())
    equal(h.works("tokenize", "-m", tiny(), "--bos", stdin=b"").text.split(),
          with_bos[:1])


def render(h, request, *args, **more):
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    return h.works("render", "-m", tiny(), *args, stdin=data, **more)


def test_render(h):
    ask = {"messages": [{"role": "system", "content": "S"},
                        {"role": "user", "content": "caf\u00e9"},
                        {"role": "assistant", "content": "A"},
                        {"role": "user", "content": "U2"}],
           "add_generation_prompt": True}
    text = ("<\uff5cbegin\u2581of\u2581sentence\uff5c>S\n\nUser: caf\u00e9\n\nAssistant: A"
            "<\uff5cend\u2581of\u2581sentence\uff5c>User: U2\n\nAssistant:")
    equal(render(h, ask).text, text)
    j = render(h, ask, "--json").json()
    equal(list(j), ["format", "text", "token_ids"])
    equal((j["format"], j["text"]), ("deepseek-v2", text))
    equal(h.works("detokenize", "-m", tiny(),
                  stdin=" ".join(map(str, j["token_ids"])).encode()).text, text)
    ask["add_generation_prompt"] = False
    equal(render(h, ask).text, text[:-len("Assistant:")])


def test_render_refuses(h):
    for bad in (b"", b"{", b"[]", b"{}", b'{"messages": 1}', b'{"messages": []}',
                b'{"messages": [1]}', b'{"messages": [{"role": "user"}]}',
                b'{"messages": [{"role": "wizard", "content": "x"}]}',
                b'{"messages": [{"role": "user", "content": 1}]}',
                b'{"messages": [{"role": "user", "content": "x"}], "thinking": "yes"}',
                b'{"messages": [{"role": "user", "content": "x"}]} trailing',
                b'{"messages": [{"role": "user", "role": "user", "content": "x"}]}',
                b'{"messages": [{"role": "user", "content": "\xff"}]}'):
        h.fails(2, "render", "-m", tiny(), stdin=bad)


def test_bench(h):
    j = h.works("bench", "-m", tiny(), "-p", "32", "-n", "8", "-r", "2", "-d", "4",
                "--json").json()
    equal([x["test"] for x in j], ["prefill", "decode"])
    for x, tokens in zip(j, (32, 8)):
        equal(list(x), ["test", "tokens", "depth", "threads", "device", "tokens_per_s",
                        "bytes_per_token", "bandwidth_gb_s"])
        equal((x["tokens"], x["depth"]), (tokens, 4))
        t = x["tokens_per_s"]
        check(0 < t["min"] <= t["median"] <= t["max"], x)
        check(isinstance(x["threads"], int) and x["threads"] >= 1, x)
    equal((j[0]["bytes_per_token"], j[0]["bandwidth_gb_s"]), (None, None))
    check(0 < j[1]["bytes_per_token"] <= os.path.getsize(tiny()), j)
    check(j[1]["bandwidth_gb_s"] > 0, j)
    j = h.works("bench", "-m", tiny(), "-p", "0", "-n", "2", "-r", "1", "--json",
                "-t", "1").json()
    equal([(x["test"], x["threads"]) for x in j], [("decode", 1)])
    equal(len(h.works("bench", "-m", tiny(), "-r", "1").text.splitlines()), 2)


def real_model():
    path = os.environ.get("HADAL_SMOLLM2", "")
    cases = SHARED / "fixtures" / "real" / "smollm2.json"
    if not os.path.exists(path) or not cases.exists():
        skip("the real model is not here")
    return path, json.load(open(cases))


def test_real_chat(h):
    """A real model: rendering, ids, and the greedy answer as far as margins are clear."""
    path, cases = real_model()
    for case in cases["chats"]:
        r = h.works("render", "-m", path, "--json", stdin=json.dumps(
            {"messages": case["messages"], "add_generation_prompt": True}).encode()).json()
        equal((r["text"], r["token_ids"]), (case["rendered"], case["ids"]))
        user = [m["content"] for m in case["messages"] if m["role"] == "user"]
        if len(case["messages"]) > 1:
            continue
        j = h.works("run", "-m", path, "--temp", "0", "-n", str(len(case["greedy"])),
                    "--json", "--no-history", user[0]).json()
        sure = next((i for i, m in enumerate(case["margins"]) if m < 0.05),
                    len(case["margins"]))
        equal(j["token_ids"][:sure], case["greedy"][:sure][:len(j["token_ids"])], user)


def test_real_perplexity(h):
    path, cases = real_model()
    want = cases["perplexity"]
    j = h.works("perplexity", "-m", path, "--json", "--tokens-file",
                h.file("ids", " ".join(map(str, want["ids"])))).json()
    equal(j["tokens"], len(want["ids"]) - 1)
    check(abs(j["nll"] - want["mean_nll"]) < 0.02, (j, want["mean_nll"]))


main()
