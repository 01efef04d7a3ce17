"""hadal-mini names nothing that the program does not have.

share/mini/names.txt lists what the guide may name. Here the list is held against the
program and its manual pages (which other tests hold against the tables of keys and
commands), the guide's answers against the list, and so are answers of the model itself.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests", "cli"))
from hadal_cli import HADAL, TOP, check, equal, main  # noqa: E402

MINI = TOP / "share" / "mini"
sys.path[:0] = [str(MINI), str(MINI / "eval")]
sys.dont_write_bytecode = True
import check as held  # noqa: E402
import data  # noqa: E402
import run as evaluation  # noqa: E402

NAMES = data.names()
ASKED = 40


def page(name):
    return (TOP / "man" / name).read_text("utf-8")


def section(text, title):
    return text.split(f"\n.Sh {title}\n")[1].split("\n.Sh ")[0]


def missing(kind, there):
    equal([n for n in NAMES[kind] if n not in there], [], kind)


def real_commands(h):
    text = h.works("help").text.split("Commands:")[1].split("\n\n")[0]
    return re.findall(r"^  (\w+)", text, re.M)


def helps(h):
    return [h.works("help").text] + [h.works("help", c).text for c in real_commands(h)]


def test_commands(h):
    missing("commands", real_commands(h))


def test_options(h):
    text = "\n".join(helps(h))
    missing("options", re.findall(r"^ +(?:-\w, )?(--[\w-]+)", text, re.M))
    missing("short", re.findall(r"^ +(-\w), --", text, re.M))


def test_keys(h):
    items = re.findall(r"^\.It (.+)$", section(page("hadal.1"), "KEYS OF THE CHAT"), re.M)
    missing("keys", {key for item in items for key in item.split(", ")})


def test_commands_of_chat(h):
    text = section(page("hadal.1"), "COMMANDS OF THE CHAT")
    missing("slash", re.findall(r"^\.It (/\w+)", text, re.M))


def test_variables(h):
    text = page("hadal.1") + page("hadal-pull.1")
    told = {v for line in re.findall(r"^\.It Ev (.+)$", text, re.M)
            for v in line.split(" , ")}
    told |= {v for line in told for v in re.split(r"[ ,]+", line)}
    missing("variables", told)
    with open(HADAL, "rb") as f:
        program = f.read()
    equal([v for v in NAMES["variables"] if v.encode() not in program], [], "getenv")


def test_exit_codes(h):
    text = section(page("hadal.1"), "EXIT STATUS")
    missing("exit", re.findall(r"\b\d+\b", text))


def test_not_yet(h):
    """What the guide calls not available is just that; when it is, names.txt moves it."""
    for name in NAMES["later"]:
        args = ["run", name, "x", "hello"] if name.startswith("-") else [name, "x", "y"]
        r = h.run(*args)
        check(r.code == 2 and "not available in this version" in " ".join(r.lines),
              f"{args}: {r}")


def test_answers_of_the_guide(h):
    maker = data.Maker(1)
    for topic in maker.guide.topics.values():
        for a in topic.answers:
            text = a if isinstance(a, str) else maker.guide.grammar.draw(maker.rng, a)
            equal(held.unreal(text), [], f"{topic.name}: {text}")


def test_conversations_can_be_drawn(h):
    for seed in range(5):
        maker = data.Maker(seed, data.banned_questions())
        for _ in range(400):
            turns, labels = maker.labelled()
            check(all(text.strip() for _, text in turns), turns)
            equal(sum(role == "assistant" for role, _ in turns), len(labels), turns)


def test_answers_of_the_model(h):
    """Questions of the evaluation, spread evenly; whether they are right is run.py's."""
    questions = [t[1] for block in evaluation.parse(MINI / "eval" / "single.txt")
                 for t in block]
    for i in range(ASKED):
        q = questions[i * len(questions) // ASKED]
        r = h.works("run", "--no-history", "--temp", "0", "-n", "120", "-m", "hadal-mini",
                    "--", q)
        equal(held.unreal(r.text), [], f"{q}: {r.text}")
        check(r.text.strip(), f"{q}: no answer")


main()
