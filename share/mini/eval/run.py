#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks hadal-mini the held-out questions and counts the right answers.

    eval/run.py --hadal PATH/hadal [-m share/hadal-mini.gguf] [--verbose]
    eval/run.py --engine llama -m FILE.gguf      the same through llama-cpp-python

A single turn is one `hadal run --no-history --temp 0`; a dialogue is run with a
history of its own in a temporary folder and goes on with `--continue`.  An
answer is right when it holds what must be there, nothing that must not, and
names no command, option, key or variable that does not exist.  Exit 1 where a
target is missed.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from check import unreal                                   # noqa: E402

OFF = r"(small|guide|hadal pull|beyond me|no clock|no opinion|neither clock|no views|do not know)"
TARGET = {"single": 0.92, "dialogues": 0.85}


def parse(path):
    """-> blocks of (line number, question, must, must not); single.txt has one block per line."""
    blocks, block = [], []
    for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            blocks.append(block)
            block = []
            continue
        q, rest = line.split(" => ", 1)
        must, _, mustnot = rest.partition(" !! ")
        block.append((n, q.strip(), [m.strip().replace("OFF", OFF) for m in must.split(" && ")], [m.strip() for m in mustnot.split(" && ") if m.strip()]))
    blocks.append(block)
    return [b for b in blocks if b]


def wrong(answer, must, mustnot):
    """Why the answer is wrong, or None."""
    a = answer.replace("Control-", "Ctrl-")
    for m in must:
        if not re.search(m, a, re.I):
            return "lacks " + m[:60]
    for m in mustnot:
        if re.search(m, a, re.I):
            return "has " + m
    bad = unreal(a)
    return "names " + ", ".join(bad) if bad else None


class Hadal:
    def __init__(self, args):
        self.base = [args.hadal, "run", "--temp", "0", "-n", "200", "-m", args.model]

    def call(self, extra, question, env):
        p = subprocess.run(self.base + extra + ["--", question], stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=120)
        if p.returncode:
            sys.exit(f"{' '.join(self.base)}: exit {p.returncode}: {p.stderr.decode(errors='replace')}")
        return p.stdout.decode("utf-8", "replace").rstrip("\n")

    def talk(self, questions):
        if len(questions) == 1:
            return [self.call(["--no-history"], questions[0], os.environ)]
        with tempfile.TemporaryDirectory() as d:
            env = dict(os.environ, HADAL_DB=d + "/history.db", XDG_DATA_HOME=d, XDG_CACHE_HOME=d, XDG_CONFIG_HOME=d)
            return [self.call(["-c"] if i else [], q, env) for i, q in enumerate(questions)]


class Llama:
    def __init__(self, args):
        from llama_cpp import Llama as Model
        self.m = Model(args.model, n_ctx=2048, n_threads=args.threads, verbose=False)
        self.id = {t: self.m.tokenize(t.encode(), add_bos=False, special=True)[0] for t in ("<｜User｜>", "<｜Assistant｜>")}

    def talk(self, questions):
        ids, answers = [self.m.token_bos()], []
        for q in questions:
            ids += [self.id["<｜User｜>"]] + self.m.tokenize(q.encode(), add_bos=False, special=False) + [self.id["<｜Assistant｜>"]]
            out = []
            for t in self.m.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0, reset=True):
                if t == self.m.token_eos() or len(out) >= 200:
                    break
                out.append(t)
            ids += out + [self.m.token_eos()]
            answers.append(self.m.detokenize(out).decode("utf-8", "replace"))
        return answers


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--hadal", default="hadal")
    ap.add_argument("-m", "--model", default=str(HERE.parent.parent / "hadal-mini.gguf"))
    ap.add_argument("--engine", choices=["hadal", "llama"], default="hadal")
    ap.add_argument("--threads", type=int, default=1, help="of the llama engine")
    ap.add_argument("--every", type=int, default=1, help="ask every N-th question only")
    ap.add_argument("--verbose", action="store_true", help="show every answer that is wrong")
    args = ap.parse_args()
    engine = Hadal(args) if args.engine == "hadal" else Llama(args)
    failed = False
    for part in ("single", "dialogues"):
        blocks = parse(HERE / (part + ".txt"))
        if part == "single":
            blocks = [[t] for b in blocks for t in b]
        blocks = blocks[::args.every]
        turns = right = whole = made_up = 0
        for block in blocks:
            ok = True
            for (n, q, must, mustnot), a in zip(block, engine.talk([t[1] for t in block])):
                why = wrong(a, must, mustnot)
                turns, right, ok = turns + 1, right + (why is None), ok and why is None
                made_up += bool(unreal(a))
                if why and args.verbose:
                    print(f"{part}.txt:{n}: {why}\n   {q}\n   {a!r}", flush=True)
            whole += ok
        line = f"{part}: {right} of {turns} answers right ({right / turns:.1%}), {made_up} name something that is not there"
        if part == "dialogues":
            line += f"; {whole} of {len(blocks)} dialogues right throughout"
        print(line, flush=True)
        failed |= right / turns < TARGET[part] or made_up > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
