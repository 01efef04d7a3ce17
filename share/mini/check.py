#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the guide's answers against names.txt: nothing may be made up.

    check.py            every answer of the guide files, and 20,000 drawn conversations
"""
import re
import sys

import data

NAMES = data.names()


def unreal(text):
    """The commands, options, keys and variables in an answer that do not exist."""
    bad = []
    for m in re.finditer(r"(?<![\w-])--[a-z][a-z-]*", text):
        if m.group(0) not in NAMES["options"] + NAMES["later"]:
            bad.append(m.group(0))
    for span in re.findall(r"`([^`\n]+)`", text):
        for m in re.finditer(r"\bhadal ([a-z]+)", span):
            if m.group(1) not in NAMES["commands"] + NAMES["later"]:
                bad.append(m.group(0))
        for m in re.finditer(r"(?<=[\s`])-[a-zA-Z]\b|^-[a-zA-Z]\b", span):
            if m.group(0) not in NAMES["short"]:
                bad.append(m.group(0))
    for m in re.finditer(r"\bF\d+\b", text):
        if m.group(0) not in NAMES["keys"]:
            bad.append(m.group(0))
    for m in re.finditer(r"\b(?:Ctrl|Control)[-+ ](\w)\b", text, re.I):
        if "^" + m.group(1).upper() not in NAMES["keys"]:
            bad.append(m.group(0))
    for m in re.finditer(r"\b(?:Alt|Shift)-(?:[A-Z][a-z]+|\w)\b", text):
        if m.group(0) not in NAMES["keys"]:
            bad.append(m.group(0))
    for m in re.finditer(r"`(/[a-z]+)", text):
        if m.group(1) not in NAMES["slash"]:
            bad.append(m.group(1))
    for m in re.finditer(r"\b[A-Z]+(?:_[A-Z]+)+\b", text):
        if m.group(0) not in NAMES["variables"]:
            bad.append(m.group(0))
    return bad


def main():
    maker = data.Maker(99, data.banned_questions())
    texts = []
    for t in maker.guide.topics.values():
        texts += [a if isinstance(a, str) else maker.guide.grammar.draw(maker.rng, a) for a in t.answers]
    for _ in range(20000):
        texts += [x for role, x in maker.conversation() if role == "assistant" and not x.startswith("You asked:")]
    bad = {b for x in texts for b in unreal(x)}
    for b in sorted(bad):
        print("not in names.txt:", b)
    print(len(texts), "answers read,", len(bad), "names unknown")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
