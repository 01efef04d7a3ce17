#!/usr/bin/env python3
"""Writes model/unicode_tables.c from Unicode's UnicodeData.txt and PropList.txt.

Usage: gen_tables.py [FOLDER] > model/unicode_tables.c
FOLDER holds the two files (default: /usr/share/unicode, Debian's package unicode-data).
The version is pinned on purpose: a character that changes its class changes token ids.
"""
import sys

GROUPS = {"L": "L", "N": "N", "P": "P", "S": "S", "M": "M"}
LIMIT = 0x110000


def read_classes(folder):
    classes = ["."] * LIMIT
    first = None
    with open(folder + "/UnicodeData.txt", encoding="ascii") as lines:
        for line in lines:
            field = line.split(";")
            code = int(field[0], 16)
            if field[1].endswith(", First>"):
                first = code
                continue
            start = code if first is None else first
            first = None
            group = GROUPS.get(field[2][0], ".")
            for c in range(start, code + 1):
                classes[c] = group
    with open(folder + "/PropList.txt", encoding="utf-8") as lines:
        for line in lines:
            body = line.split("#")[0]
            if "; White_Space" not in body:
                continue
            span = body.split(";")[0].strip().split("..")
            for c in range(int(span[0], 16), int(span[-1], 16) + 1):
                classes[c] = "_"
    return "".join(classes)


def version(folder):
    with open(folder + "/PropList.txt", encoding="utf-8") as lines:
        return lines.readline().strip("# \n").removeprefix("PropList-").removesuffix(".txt")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"
    classes = read_classes(folder)
    blocks = []
    index = []
    for start in range(0, LIMIT, 256):
        block = classes[start : start + 256]
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    print("/* SPDX-License-Identifier: MIT AND Unicode-DFS-2016")
    print(" *")
    print(" * Classes of all code points: see unicode.h. Unicode %s." % version(folder))
    print(" * Written by model/unicode/gen_tables.py; not edited by hand, and long for that.")
    print(" */")
    print('#include "config.h"\n')
    print('#include "model/unicode.h"\n')
    print("/* clang-format off */")
    print("const unsigned char unicode_block[0x1100] = {")
    for at in range(0, len(index), 16):
        print("    " + " ".join("%d," % i for i in index[at : at + 16]))
    print("};\n")
    print("const char unicode_classes[][256] = {")
    for block in blocks:
        rows = [block[at : at + 64] for at in range(0, 256, 64)]
        print("    {" + "\n     ".join('"%s"' % row for row in rows) + "},")
    print("};")
    print("/* clang-format on */")


main()
