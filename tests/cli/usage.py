"""Options, numbers, help: everything that is settled before a model is looked at."""
from hadal_cli import check, equal, main, tiny

COMMANDS = ["run", "list", "show", "search", "log", "export", "import", "tokenize",
            "detokenize", "render", "logits", "perplexity", "bench", "doctor", "help", "pull",
            "rm", "verify", "gc", "quantize"]


def test_help_of_everything(h):
    for args in (["help"], ["--help"], ["-h"]):
        r = h.works(*args)
        for name in COMMANDS:
            check(f"\n  {name} " in r.text, f"{args} does not list {name}")
    for name in COMMANDS:
        r = h.works("help", name)
        check(r.text.startswith(f"usage: hadal {name} "), r.text)
        equal(h.works(name, "-h").text, r.text, name)
        equal(h.works(name, "--help").text, r.text, name)
        equal(r.err, b"", name)
        check(all(len(x) <= 100 for x in r.text.splitlines()), name)


def test_help_lists_what_works(h):
    text = h.works("help", "run").text
    for option in ("--temp", "--top-k", "--seed", "--stop", "--timeout", "--json",
                   "--stream-json", "--raw", "--tokens", "--session", "--no-history",
                   "-m, --model", "-n, --max-tokens", "-s, --system", "-f, --file",
                   "-c, --continue", "-t, --threads", "-q, --quiet", "-v, --verbose"):
        check(option in text, option)
    for option in ("--batch", "--grammar", "--json-schema"):
        check(option not in text, option)


def test_version(h):
    r = h.works("--version")
    check(r.text.startswith("hadal "), r.text)
    equal(r.text.count("\n"), 1)


def test_unknown(h):
    h.fails(2, "frobnicate", names="frobnicate")
    h.fails(2, "help", "nosuch", names="nosuch")
    h.fails(2, "help", "run", "list")
    for name in COMMANDS:
        h.fails(2, name, "--no-such-option", names="--no-such-option")
        h.fails(2, name, "-Z", names="-Z")
    h.fails(2, "--no-such-option")
    h.fails(2, "run", "--temperature", "1", "hi")
    h.fails(2, "--", "run")


def test_later(h):
    for option in ("--batch", "--json-schema", "--grammar"):
        h.fails(2, "run", option, "x", "hi", names="not available in this version")


def test_values(h):
    h.fails(2, "run", "--quiet=yes", "hi", names="--quiet")
    h.fails(2, "run", "--raw=1", "hi", names="--raw")
    h.fails(2, "run", "hi", "--temp", names="--temp")
    h.fails(2, "run", "hi", "-m")
    h.fails(2, "run", "hi", "-n")
    h.fails(2, "list", "--color", "blue", names="blue")
    h.fails(2, "run", "--device", "tpu", "hi", names="tpu")
    h.fails(2, "run", "--stop", "", "hi", names="--stop")


def test_numbers(h):
    bad = ["", " 1", "1 ", "one", "1x", "0x10", "1,5", "NaN", "nan", "inf", "-inf", "-1",
           "1e999", "--", "9223372036854775808", "-9223372036854775809", "²"]
    whole = ["-n", "--top-k", "--threads", "--ctx", "--seed"]
    real = ["--temp", "--top-p", "--min-p", "--repeat-penalty", "--timeout"]
    for option in whole + real:
        for value in bad:
            r = h.fails(2, "run", "hi", option, value)
            check(option in r.lines[0] or option.strip("-")[0] in r.lines[0], r.lines)
    for option in whole:
        h.fails(2, "run", "hi", option, "1.5")
        if option != "--seed":
            h.fails(2, "run", "hi", option, "2147483648")
    for option, value in (("-t", "0"), ("--ctx", "0"), ("--timeout", "0"),
                          ("--top-p", "1.01"), ("--min-p", "2"), ("--repeat-penalty", "0")):
        h.fails(2, "run", "hi", option, value)
    for option in ("-p", "-n", "-d", "-r"):
        for value in ("-1", "2147483648", "9223372036854775808", "NaN", "x"):
            h.fails(2, "bench", option, value)
    h.fails(2, "bench", "-r", "0")
    h.fails(2, "search", "x", "--limit", "0")


def test_forms(h):
    """--opt=value, --opt value, -o value, -ovalue; options before the command."""
    m = tiny()
    for args in (["-m", m], ["-m" + m], ["--model", m], ["--model=" + m]):
        equal(h.works("tokenize", *args, stdin=b"hi").text, "71 72\n", args)
        equal(h.works(*args, "tokenize", stdin=b"hi").text, "71 72\n", args)
    equal(h.works("run", "-qn3", "-m", m, "--raw", "--temp=0", "hi").code, 0)


def test_words(h):
    h.fails(2, "search", names="QUERY")
    h.fails(2, "show", "a", "b", names="b")
    h.fails(2, "list", "a", names="a")
    h.fails(2, "bench", "a")
    h.fails(2, "tokenize", "a")
    h.fails(2, "perplexity", "-m", tiny())
    h.fails(2, "logits", "-m", tiny(), names="--tokens")


def test_exclusions(h):
    m = ["-m", tiny()]
    h.fails(2, "run", *m, "--json", "--stream-json", "hi")
    h.fails(2, "run", *m, "--continue", "--session", "x", "hi")
    h.fails(2, "run", *m, "--tokens", "1,2", names="--raw")
    h.fails(2, "run", *m, "--raw", "--tokens", "1,2", "hi")
    h.fails(2, "run", *m, "--raw", "--continue", "hi")
    h.fails(2, "perplexity", *m, "x", "--tokens-file", "y")


def test_ids(h):
    m = ["-m", tiny()]
    for ids in ("", ",", "1,", ",1", "1,,2", "1;2", "a", "-1", "1.5", "2147483648",
                "99999999999999999999", "384", "1,2,100000"):
        h.fails(2, "run", *m, "--raw", "--tokens", ids, "-n", "1")
        h.fails(2, "logits", *m, "--tokens", ids)


def test_escapes_in_errors(h):
    """What the user typed is shown, never obeyed."""
    r = h.fails(2, "run", "--\x1b[31mred", "hi")
    check(b"\x1b" not in r.err, r)
    r = h.fails(3, "run", "-m", "x\x1b]0;title\x07.gguf", "hi")
    check(b"\x1b" not in r.err and b"\x07" not in r.err, r)
    r = h.fails(3, "run", "-m", "two\nlines.gguf", "hi")
    r = h.fails(3, "show", b"br\xffken.gguf")
    check("\ufffd" in r.lines[0], r)


main()
