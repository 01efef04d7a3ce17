#!/usr/bin/env python3
"""hadal beside its peers on the same files, in turn, as ratios.

  compare.py [options] FILE.gguf...      measure, print a table
  compare.py --suite DIR [options]       the same on the standard files, made in DIR
  compare.py --report [options]          write results.md and results.svg from --results

Every test (a prefill of so many tokens, a decode at a depth) is run by one program after
the other, and that as often as --rounds says, so that a machine whose speed drifts treats
all alike. A ratio is the median of those of the rounds, with their least and greatest.
How fast memory can be read is measured in each round too: a decoded token that reads its
weights at that speed is at the limit.

llama.cpp comes through the PyPI package llama-cpp-python (of the interpreter --python);
ik_llama.cpp's llama-bench runs when its path is given (--ik). What a program cannot load,
or does not finish within --limit, is shown as "-". --wrap puts a command in front of each
run, to keep the machine quiet. --results FILE collects what was measured, a JSON object a
line, so that a long comparison can be done in parts.
"""
import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time

import report

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "build")
START_TOKENS = 256

# Name of the file in the suite's folder: shape, type, layers, prefills, depths. Few layers
# where a context has to be filled first.
SUITE = {
    "v2-lite-q-Q4_K_M-9.gguf": ("v2-lite-q", "Q4_K_M", 9, (256, 2048), (0,)),
    "v2-lite-q-Q8_0-9.gguf": ("v2-lite-q", "Q8_0", 9, (256, 2048), (0,)),
    "v2-lite-q-Q4_K_M-3.gguf": ("v2-lite-q", "Q4_K_M", 3, (), (4096, 16384)),
    "v2-lite-q-BF16-3.gguf": ("v2-lite-q", "BF16", 3, (256,), (0,)),
    "v2-lite-q-F16-3.gguf": ("v2-lite-q", "F16", 3, (256,), (0,)),
    "moe-16b-Q4_K_M-6.gguf": ("moe-16b", "Q4_K_M", 6, (256,), (0,)),
}


class Missing(Exception):
    """The program cannot do this."""


def run(cmd, env=None):
    """Standard output."""
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
    if p.returncode != 0:
        raise Missing("exit %d: %s" % (p.returncode, p.stderr.decode(errors="replace").strip()[-200:]))
    return p.stdout.decode()


def timed(a, cmd):
    """As run, for what is measured."""
    return run(a.wrap + ["timeout", str(a.limit)] + cmd)


def hadal(a, path, threads, test, tokens, depth):
    cmd = [a.hadal, "bench", "-m", path, "-t", str(threads), "-r", "1", "-d", str(depth), "--json",
           "-p", str(tokens if test == "prefill" else 0), "-n", str(tokens if test == "decode" else 0)]
    t = json.loads(timed(a, cmd))[0]
    return {"rate": t["tokens_per_s"]["median"], "bytes": t["bytes_per_token"]}


def llama_cpp(a, path, threads, test, tokens, depth):
    cmd = [a.python, os.path.join(HERE, "peer_llama_cpp.py"), path, "--threads", str(threads), "-d", str(depth),
           "-r", "1", "-p", str(tokens if test == "prefill" else 0), "-n", str(tokens if test == "decode" else 0)]
    return {"rate": json.loads(timed(a, cmd))[0]["tokens_per_s"]["median"]}


def ik(a, path, threads, test, tokens, depth):
    cmd = [a.ik, "-m", path, "-t", str(threads), "-r", "1", "-ngl", "0", "-mla", "3", "-fa", "1", "-fmoe", "1",
           "-o", "json", "-p", str(tokens if test == "prefill" else 0)]
    if test == "decode" and depth:
        cmd += ["-n", "0", "-gp", "%d,%d" % (depth, tokens)]
    else:
        cmd += ["-n", str(tokens if test == "decode" else 0)]
    out = timed(a, cmd)
    # It prints warnings in the middle of its JSON.
    out = "\n".join(line for line in out.splitlines() if not line.startswith("WARNING"))
    t = json.loads(out[out.index("["):out.rindex("]") + 1])[0]
    return {"rate": t["avg_ts"]}


def hadal_start(a, path, threads):
    """Seconds from the start of the program to its end after one token, and of the prefill."""
    ids = ",".join(str(300 + i * 7919 % 20000) for i in range(START_TOKENS))
    cmd = [a.hadal, "run", "-m", path, "-t", str(threads), "--raw", "--tokens", ids, "-n", "1", "--temp", "0",
           "--no-history", "--json"]
    program = "import subprocess, sys, time; t = time.monotonic(); " \
              "p = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True); " \
              "print(time.monotonic() - t); sys.stdout.buffer.write(p.stdout)"
    out = timed(a, [sys.executable, "-c", program] + cmd).splitlines()
    return {"total_s": float(out[0]), "prefill_s": json.loads(out[1])["timings"]["prefill_s"]}


def llama_cpp_start(a, path, threads):
    cmd = [a.python, os.path.join(HERE, "peer_llama_cpp.py"), path, "--threads", str(threads), "--start",
           "-p", str(START_TOKENS)]
    return json.loads(timed(a, cmd))


def memory(a, threads):
    return float(timed(a, [a.memory, str(threads)]))


class Book:
    """What was measured: in memory, and in the file of --results."""

    def __init__(self, a):
        self.path, self.rows = a.results, []
        if a.results and os.path.exists(a.results):
            with open(a.results) as f:
                self.rows = [json.loads(line) for line in f]

    def add(self, **row):
        self.rows.append(row)
        if self.path:
            with open(self.path, "a") as f:
                f.write(json.dumps(row) + "\n")


def version_of_ik(a, path):
    try:
        out = run([a.ik, "-m", path, "-p", "1", "-n", "0", "-r", "1", "-o", "json"])
    except Missing:  # it does not know every architecture
        return "unknown"
    m = re.search(r'"build_commit": "(\w+)"', out)
    return m.group(1) if m else "unknown"


def facts(a, files):
    """The machine and the versions."""
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    versions = {"hadal": run([a.hadal, "--version"]).strip()}
    code = "import llama_cpp; print(llama_cpp.__version__)"
    try:
        versions["llama.cpp"] = "llama-cpp-python " + run([a.python, "-c", code]).strip()
    except Missing:
        versions["llama.cpp"] = "not here"
    if a.ik:
        versions["ik_llama.cpp"] = version_of_ik(a, files[0])
    return {"kind": "facts", "cpu": cpu.group(1) if cpu else platform.machine(), "cores": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d"), "versions": versions}


def name_of(a, path):
    return os.path.basename(path) + (" " + a.label if a.label else "")


def one_test(a, book, programs, path, threads, test, tokens, depth):
    gone = set()
    name = name_of(a, path)
    for i in range(a.rounds):
        speed = memory(a, threads)
        for program, fn in programs.items():
            row = {"kind": "rate", "file": name, "threads": threads, "test": test, "tokens": tokens, "depth": depth,
                   "round": i, "program": program, "memory": speed, "at": time.strftime("%Y-%m-%dT%H:%M:%S")}
            if program in gone:
                continue
            try:
                book.add(**row, **fn(a, path, threads, test, tokens, depth))
            except Missing as why:
                gone.add(program)
                print("%s, %s, %s: %s" % (program, name, test, why), file=sys.stderr)
    key = (name, threads, test, tokens, depth)
    print(report.row_of(book.rows, key, [p for p in report.PEERS if p in programs]), flush=True)


def one_start(a, book, path, threads):
    for i in range(a.rounds):
        for program, fn in (("hadal", hadal_start), ("llama.cpp", llama_cpp_start)):
            try:
                book.add(kind="start", file=name_of(a, path), threads=threads, round=i, program=program,
                         **fn(a, path, threads))
            except Missing as why:
                print("%s, start: %s" % (program, why), file=sys.stderr)


def perplexities(a, book):
    """Each kernel on the real model, beside exact float arithmetic (the scalar kernels)."""
    with open(os.path.join(HERE, "..", "share", "mini", "guide.en.txt"), "rb") as f:
        text = f.read(6000)
    path = os.path.join(a.suite or ".", "perplexity.txt")
    with open(path, "wb") as f:
        f.write(text)
    for kernel in ("scalar", "avx2", "avx512"):
        for bits in ("8", "16") if kernel != "scalar" else ("float",):
            env = {"HADAL_CPU": kernel, "HADAL_ACTIVATIONS": "16" if bits == "float" else bits}
            out = run([a.hadal, "perplexity", "-m", a.smollm2, path, "--json"], env)
            book.add(kind="perplexity", kernel=kernel, activations=bits, **json.loads(out))
    os.unlink(path)


def tests_of(a, path, threads):
    """(prefills, depths): the suite's own, or those of the command line. With fewer threads than
    there may be the suite has only the short ones."""
    if not a.suite:
        return a.p, a.d
    row = SUITE.get(os.path.basename(path))
    prefills, depths = row[3:] if row else ((256,), (0,))
    if threads == a.threads[-1]:
        return prefills, depths
    return [p for p in prefills if p <= 256], [d for d in depths if d == 0]


def measure(a, book):
    programs = {"hadal": hadal, "llama.cpp": llama_cpp}
    if a.ik:
        programs["ik_llama.cpp"] = ik
    programs = {k: v for k, v in programs.items() if k not in a.without}
    book.add(**facts(a, a.files))
    print(report.head(programs))
    for path in a.files:
        with open(path, "rb") as f:  # into the page cache
            while f.read(1 << 24):
                pass
        for threads in a.threads:
            prefills, depths = tests_of(a, path, threads)
            for p in prefills:
                one_test(a, book, programs, path, threads, "prefill", p, 0)
            for d in depths:
                one_test(a, book, programs, path, threads, "decode", a.n, d)
        if a.start:
            one_start(a, book, path, a.threads[-1])
    if a.smollm2 and a.start:
        perplexities(a, book)


def make_suite(a):
    os.makedirs(a.suite, exist_ok=True)
    files = []
    for name, (shape, kind, layers, *_) in SUITE.items():
        path = os.path.join(a.suite, name)
        files.append(path)
        if a.only in name and not os.path.exists(path):
            subprocess.run([a.make_model, shape, kind, path, str(layers)], check=True)
    files += [a.smollm2] if a.smollm2 else []
    return [f for f in files if a.only in os.path.basename(f)]


def numbers(text):
    return [int(x) for x in text.split(",") if x]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("files", nargs="*", metavar="FILE.gguf")
    ap.add_argument("--suite", metavar="DIR", help="the standard files, made in DIR, and the real model")
    ap.add_argument("--only", default="", help="of the suite only files with this in their names")
    ap.add_argument("--report", action="store_true", help="write bench/results.md and results.svg")
    ap.add_argument("--results", metavar="FILE", help="collect what is measured there")
    ap.add_argument("--hadal", default=os.path.join(BUILD, "hadal"))
    ap.add_argument("--python", default=sys.executable, help="an interpreter that has llama_cpp")
    ap.add_argument("--ik", help="ik_llama.cpp's llama-bench")
    ap.add_argument("--smollm2", default=os.environ.get("HADAL_SMOLLM2"), help="the real model ($HADAL_SMOLLM2)")
    ap.add_argument("--without", default=[], type=lambda s: s.split(","), help="programs to leave out")
    ap.add_argument("--threads", type=numbers, default=[1, len(os.sched_getaffinity(0))])
    ap.add_argument("-p", type=numbers, default=[256], help="tokens of the prefills (256,2048)")
    ap.add_argument("-n", type=int, default=32, help="tokens to decode")
    ap.add_argument("-d", type=numbers, default=[0], help="depths of the decodes (0,4096)")
    ap.add_argument("--start", action="store_true", help="also the time to the first token, and perplexities")
    ap.add_argument("--label", help="put behind the files' names in tables: of other builds or instructions, "
                    "as with HADAL_CPU=avx2 and peers that were built for it")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--limit", type=int, default=600, help="seconds that one run may take")
    ap.add_argument("--wrap", type=shlex.split, default=[], help="a command to put in front of each run")
    a = ap.parse_args()
    a.threads = sorted(set(a.threads))
    build = os.path.dirname(os.path.abspath(a.hadal))
    a.memory, a.make_model = (os.path.join(build, x) for x in ("bench_memory", "bench_make_model"))
    for path in (a.hadal, a.memory, a.make_model):
        if not os.path.exists(path):
            sys.exit("%s is missing: make -C %s hadal bench_memory bench_make_model" % (path, build))
    if a.suite:
        a.files = make_suite(a)
    if not a.files and not a.report:
        ap.error("no files: name some, or --suite DIR")
    book = Book(a)
    try:
        if a.files:
            measure(a, book)
    except Missing as why:
        sys.exit("stopped, what was measured is kept: %s" % why)
    if a.report:
        report.write(book.rows, HERE)


if __name__ == "__main__":
    main()
