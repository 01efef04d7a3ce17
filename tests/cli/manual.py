"""The manual pages beside the tables: every command and option, and nothing else."""
import os
import re
import shutil
import subprocess

from hadal_cli import TOP, check, equal, main, skip


def commands(h):
    text = h.works("help").text.split("Commands:")[1].split("\n\n")[0]
    return re.findall(r"^  (\w+)", text, re.M)


def options_of_help(text, title):
    part = re.search(rf"\n{title}:\n(.*?)(\n\n|\Z)", text, re.S)
    return set(re.findall(r"^ +(?:-\w, )?--([\w-]+)", part.group(1), re.M)) if part else set()


def page(name):
    with open(TOP / "man" / name) as f:
        return f.read()


def options_of_page(text):
    return set(re.findall(r"^\.It (?:Fl \w , )?Fl Fl ([\w-]+)", text, re.M))


def test_commands(h):
    pages = {f[6:-2] for f in os.listdir(TOP / "man")
             if f.startswith("hadal-") and f.endswith(".1")}
    equal(pages, set(commands(h)))
    for name in commands(h):
        check(f".It Ic {name}\n" in page("hadal.1"), name)


def test_options(h):
    for name in commands(h):
        text = h.works("help", name).text
        equal(options_of_page(page(f"hadal-{name}.1")), options_of_help(text, "Options"),
              name)
    bare = h.works("help").text
    equal(options_of_page(page("hadal.1")), options_of_help(bare, "Common options"))
    chat = page("hadal.1").split(".Ss Options of the chat")[1].split(".Sh")[0]
    equal(set(re.findall(r"^\.Fl Fl ([\w-]+)", chat, re.M)),
          options_of_help(bare, "Options"))


def test_commands_of_chat(h):
    """What can be typed in the chat; its keys are compared by test_input."""
    with open(TOP / "src" / "app_command.c") as f:
        rows = re.findall(r'ROW\("(/\w+)", "([^"]*)", "([^"]*)"', f.read())
    section = page("hadal.1").split(".Sh COMMANDS OF THE CHAT")[1].split(".Sh")[0]
    equal([f"{name} {argument}".strip() + "\n" + text for name, argument, text in rows],
          [item.strip() for item in section.split(".El")[0].split(".It ")[1:]])


def test_letters(h):
    for name in commands(h):
        text = h.works("help", name).text.split("\nCommon options:")[0]
        equal(set(re.findall(r"^\.It Fl (\w) , Fl Fl", page(f"hadal-{name}.1"), re.M)),
              set(re.findall(r"^  -(\w), --", text, re.M)), name)


def test_configuration(h):
    """Keys of the page are those of the table; each is known to the program."""
    with open(TOP / "src" / "option_table.c") as f:
        rows = re.findall(r'\{"([\w-]+)", [^{]*?OPTIONS_CONFIG', f.read())
    keys = re.findall(r"^\.It Cm ([\w-]+)", page("hadal-config.5"), re.M)
    equal(sorted(keys), sorted(set(rows)))
    for key in keys:
        h.file(".config/hadal/config", f"{key} = \"\\n\"\n")
        r = h.run("list")
        check(r.code == 0 or "unknown key" not in r.lines[0], (key, r))


def test_groff(h):
    if shutil.which("groff") is None:
        skip("groff is not here")
    for name in sorted(os.listdir(TOP / "man")):
        if not re.search(r"\.[15]$", name):
            continue
        p = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8", str(TOP / "man" / name)],
                           capture_output=True, timeout=60)
        equal((p.returncode, p.stderr), (0, b""), name)


main()
