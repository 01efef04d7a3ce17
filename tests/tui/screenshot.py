#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A picture of a terminal: from `tmux capture-pane -e -p` on standard input to SVG on
standard output, so that the picture in the README can be made again from the program.

usage: tmux capture-pane -e -p -t NAME | screenshot.py [COLUMNS] > picture.svg"""
import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL_W, CELL_H, PAD, FONT = 8.4, 18, 14, 14
INK, PAPER = "#d8dee9", "#1b1f27"
COLOURS = ["#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9"]


class Style:
    """What SGR sequences have set so far."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.fg = self.bg = None
        self.bold = self.dim = self.italic = self.underline = self.reverse = False

    def apply(self, codes):
        flags = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
        for code in codes:
            if code == 0:
                self.reset()
            elif code in flags:
                setattr(self, flags[code], True)
            elif code == 22:
                self.bold = self.dim = False
            elif code in (23, 24, 27):
                setattr(self, {23: "italic", 24: "underline", 27: "reverse"}[code], False)
            elif 30 <= code <= 37:
                self.fg = COLOURS[code - 30]
            elif 90 <= code <= 97:
                self.fg = COLOURS[code - 90]
            elif 40 <= code <= 47:
                self.bg = COLOURS[code - 40]
            elif code == 39:
                self.fg = None
            elif code == 49:
                self.bg = None

    def key(self):
        fg, bg = self.fg or INK, self.bg
        if self.reverse:
            fg, bg = bg or PAPER, fg
        return fg, bg, self.bold, self.dim, self.italic, self.underline


def width(char):
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cells(line, style):
    """(text, style, column, width) of each cluster: a base and the marks after it."""
    out, col, at = [], 0, 0
    while at < len(line):
        sgr = re.match(r"\x1b\[([\d;]*)m", line[at:])
        if sgr:
            style.apply([int(c or 0) for c in sgr.group(1).split(";")])
            at += sgr.end()
            continue
        char, at = line[at], at + 1
        if not char.isprintable():
            continue
        w = width(char)
        if w == 0 and out:
            text, key, c, cw = out[-1]
            out[-1] = (text + char, key, c, cw)
            continue
        out.append((char, style.key(), col, w))
        col += w
    return out


def runs(row):
    """Neighbouring cells of one style as one text, word by word, so that a font whose
    letters are of other widths cannot shift a whole row. Background runs through."""
    merged = []
    for text, key, col, w in row:
        last = merged[-1] if merged else None
        if (last and last[1] == key and last[2] + last[3] == col and text.isascii()
                and last[0].isascii() and (text == " ") == last[0].isspace()):
            last[0] += text
            last[3] += w
        else:
            merged.append([text, key, col, w])
    return merged


def backgrounds(row):
    """(colour, column, width) of each stretch that is not paper."""
    merged = []
    for _, key, col, w in row:
        bg = key[1]
        if bg and merged and merged[-1][0] == bg and sum(merged[-1][1:]) == col:
            merged[-1][2] += w
        elif bg:
            merged.append([bg, col, w])
    return merged


def draw_background(bg, col, w, row):
    return (f'<rect x="{PAD + col * CELL_W:.1f}" y="{PAD + row * CELL_H}" '
            f'width="{w * CELL_W:.1f}" height="{CELL_H}" fill="{bg}"/>')


def draw_run(text, key, col, row, w):
    fg, _, bold, dim, italic, underline = key
    x, y = PAD + col * CELL_W, PAD + row * CELL_H + 13.5
    style = "".join([' font-weight="bold"' if bold else "", ' opacity="0.6"' if dim else "",
                     ' font-style="italic"' if italic else "",
                     ' text-decoration="underline"' if underline else ""])
    return (f'<text x="{x:.1f}" y="{y}" fill="{fg}"{style} textLength="{w * CELL_W:.1f}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>')


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    columns = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    style = Style()
    w, h = 2 * PAD + columns * CELL_W, 2 * PAD + len(lines) * CELL_H
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h}" width="{w:.0f}" '
          f'height="{h}" font-family="ui-monospace,SFMono-Regular,Menlo,DejaVu Sans Mono,monospace" '
          f'font-size="{FONT}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>')
    for row, line in enumerate(lines):
        row_cells = cells(line, style)
        for bg, col, cells_wide in backgrounds(row_cells):
            print(draw_background(bg, col, cells_wide, row))
        for text, key, col, cells_wide in runs(row_cells):
            if text.strip():
                print(draw_run(text, key, col, row, cells_wide))
    print("</svg>")


if __name__ == "__main__":
    main()
