"""Sessions: going on, prefixes, what is written, the model that a name means next time."""
import os

from hadal_cli import check, equal, fixture, main, tiny


def run(h, *args, **more):
    return h.works("run", "-m", tiny(), "--temp", "0", "-n", "6", "--json", *args,
                   **more).json()


def test_continue(h):
    h.fails(3, "run", "-m", tiny(), "-c", "hi")
    one = run(h, "first")
    two = run(h, "-c", "second")
    equal(two["session"], one["session"])
    check(two["usage"]["prompt_tokens"] > one["usage"]["prompt_tokens"], two)
    three = run(h, "other")
    check(three["session"] != one["session"], three)
    four = run(h, "--session", one["session"], "third")
    equal(four["session"], one["session"])
    equal([m["content"] for m in h.messages(one["session"]) if m["role"] == "user"],
          ["first", "second", "third"])
    equal(run(h, "-c", "fourth")["session"], one["session"], "newest message")


def test_prefix(h):
    one = run(h, "first")["session"]
    equal(run(h, "--session", one[:-1], "more")["session"], one)
    h.fails(3, "run", "-m", tiny(), "--session", "nosuchsession", "hi",
            names="nosuchsession")
    h.fails(2, "run", "-m", tiny(), "--session", "", "hi")
    firsts = {}
    for _ in range(40):
        s = run(h, "again", "-n", "0")["session"]
        if s[0] in firsts:
            h.fails(2, "run", "-m", tiny(), "--session", s[0], "hi")
            h.fails(2, "log", s[0])
            return
        firsts[s[0]] = s


def test_prompt_is_the_conversation(h):
    """The prompt of a session gone on with is what render makes of its messages."""
    one = run(h, "first", "-s", "Be brief.")
    two = run(h, "-c", "second")
    messages = [{"role": m["role"], "content": m["content"]}
                for m in h.messages(one["session"])][:-1]
    equal([m["role"] for m in messages], ["system", "user", "assistant", "user"])
    import json
    r = h.works("render", "-m", tiny(), "--json", stdin=json.dumps(
        {"messages": messages, "add_generation_prompt": True}).encode()).json()
    equal(len(r["token_ids"]), two["usage"]["prompt_tokens"])


def test_no_history(h):
    run(h, "hi", "--no-history")
    check(not os.path.exists(os.path.join(h.path, ".local")), "something was written")
    equal(h.works("log", "--json").json(), [])
    one = run(h, "first")
    two = run(h, "-c", "--no-history", "second")
    equal(two["session"], one["session"])
    check(two["usage"]["prompt_tokens"] > one["usage"]["prompt_tokens"], two)
    equal(len(h.messages()), 2)


def test_system(h):
    one = run(h, "hi", "-s", "Be brief.")
    two = run(h, "hi")
    check(one["usage"]["prompt_tokens"] > two["usage"]["prompt_tokens"], one)
    equal(h.messages(one["session"])[0]["role"], "system")
    three = run(h, "--session", one["session"], "-s", "Be brief.", "more")
    equal([m["role"] for m in h.messages(three["session"])].count("system"), 1)


def test_unanswered(h):
    """A question without an answer goes on with the next one."""
    one = run(h, "first", "-n", "0")
    two = run(h, "-c", "second")
    equal(two["session"], one["session"])
    check(two["usage"]["prompt_tokens"] > one["usage"]["prompt_tokens"], two)


def test_messages(h):
    run(h, "hi", "--seed", "42")
    user, answer = h.messages()
    equal((user["role"], user["content"], user["thinking"]), ("user", "hi", None))
    equal((answer["role"], answer["seed"], answer["model"]), ("assistant", 42, tiny()))
    check(answer["stop_reason"] in ("length", "eos"), answer)


def test_failures_are_not_written(h):
    h.fails(3, "run", "-m", "missing.gguf", "hi")
    h.fails(6, "run", "-m", tiny(), "--ctx", "4", "hi there, everybody")
    h.fails(2, "run", "-m", tiny(), "--raw", "--tokens", "9999")
    equal(h.works("log", "--json").json(), [])


def test_database_elsewhere(h):
    db = os.path.join(h.path, "deep", "er", "h.db")
    h.env["HADAL_DB"] = db
    run(h, "hi")
    check(os.path.exists(db), "no database")
    equal(len(h.messages()), 2)


def test_model_of_next_time(h):
    """$HADAL_MODEL, the configuration, the newest message's model, the embedded one."""
    other = fixture("moe-v1/model-f16.gguf")
    base = ["run", "--raw", "--temp", "0", "-n", "1", "--json", "hi"]
    h.env["HADAL_MINI"] = fixture("v3/model-Q4_K_M.gguf")
    equal(h.works(*base, "--no-history").json()["model"], "hadal-mini")
    rel = os.path.relpath(tiny(), h.path)
    equal(h.works(*base, "-m", rel).json()["model"].split("/")[-2:],
          tiny().split("/")[-2:])
    sub = os.path.join(h.path, "sub")
    os.mkdir(sub)
    equal(h.works(*base, "--no-history", cwd=sub).json()["model"].split("/")[-2:],
          tiny().split("/")[-2:], "the newest message's, from another folder")
    h.works(*base, "-m", other, "--no-history")
    h.works("bench", "-m", other, "-p", "8", "-n", "2", "-r", "1")
    check("v2-lite" in h.works(*base, "--no-history").json()["model"], "only chats count")
    h.file(".config/hadal/config", f"model = {other}\n")
    equal(h.works(*base).json()["model"], other)
    equal(h.works(*base, env={"HADAL_MODEL": tiny()}).json()["model"], tiny())
    equal(h.works(*base, "-m", "hadal-mini", env={"HADAL_MODEL": tiny()}).json()["model"],
          "hadal-mini")


main()
