#!/usr/bin/env python3
"""hadal beside its peers on the same files, in one run, as ratios.

  compare.py [--hadal PATH] [--ik PATH/llama-bench] [--python PYTHON] [--threads N]
             [-p 256] [-n 32] [-d 0] [--rounds 3] FILE.gguf...

Each round runs every program once, in turn, so that a machine whose speed drifts treats
all alike; the table gives the median of hadal / peer over the rounds, and the spread.
llama.cpp comes through the PyPI package llama-cpp-python (of the interpreter --python);
ik_llama.cpp's llama-bench runs when its path is given. Files: bench/make_model.py.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def run(cmd, timeout=1200):
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    if p.returncode != 0:
        sys.exit("%s: exit %d\n%s" % (" ".join(cmd), p.returncode, p.stderr.decode(errors="replace")[-2000:]))
    return p.stdout.decode()


def medians(text):
    return {t["test"]: t["tokens_per_s"]["median"] for t in json.loads(text)}


def hadal(a, path):
    return medians(run([a.hadal, "bench", "-m", path, "-p", str(a.p), "-n", str(a.n), "-d", str(a.d),
                        "-r", "1", "-t", str(a.threads), "--json"]))


def llama_cpp(a, path):
    return medians(run([a.python, os.path.join(HERE, "peer_llama_cpp.py"), path, "--threads", str(a.threads),
                        "-p", str(a.p), "-n", str(a.n), "-d", str(a.d), "-r", "1"]))


def ik(a, path):
    gp = ["-gp", "%d,%d" % (a.d, a.n)] if a.d else ["-n", str(a.n)]
    out = run([a.ik, "-m", path, "-p", str(a.p), *gp, "-t", str(a.threads), "-r", "1", "-ngl", "0",
               "-mla", "3", "-fa", "1", "-fmoe", "1", "-o", "json"])
    # It prints warnings in the middle of its JSON.
    out = "\n".join(line for line in out.splitlines() if not line.startswith("WARNING"))
    rates = {}
    for t in json.loads(out[out.index("["):out.rindex("]") + 1]):
        rates["prefill" if t["n_gen"] == 0 else "decode"] = t["avg_ts"]
    return rates


def machine():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    return "%s, %d cores, %s" % (cpu.group(1) if cpu else platform.machine(), os.cpu_count(),
                                 time.strftime("%Y-%m-%d"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("files", nargs="+")
    ap.add_argument("--hadal", default=os.path.join(HERE, "..", "build", "hadal"))
    ap.add_argument("--python", default=sys.executable, help="an interpreter that has llama_cpp")
    ap.add_argument("--ik")
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("-p", type=int, default=256)
    ap.add_argument("-n", type=int, default=32)
    ap.add_argument("-d", type=int, default=0)
    ap.add_argument("--rounds", type=int, default=3)
    a = ap.parse_args()
    programs = {"hadal": hadal, "llama.cpp": llama_cpp}
    if a.ik:
        programs["ik_llama.cpp"] = ik
    print("%s; %d threads, prefill %d, decode %d at depth %d, %d rounds"
          % (machine(), a.threads, a.p, a.n, a.d, a.rounds))
    print("| file | test | " + " | ".join("%s tok/s" % p for p in programs)
          + " | " + " | ".join("hadal / %s" % p for p in programs if p != "hadal") + " |")
    print("| --- | --- |" + " --- |" * (2 * len(programs) - 1))
    for path in a.files:
        rounds = [{name: fn(a, path) for name, fn in programs.items()} for _ in range(a.rounds)]
        for test in ("prefill", "decode"):
            if test not in rounds[0]["hadal"]:
                continue
            row = ["%.1f" % statistics.median(r[p][test] for r in rounds) for p in programs]
            for p in programs:
                if p != "hadal":
                    x = [r["hadal"][test] / r[p][test] for r in rounds]
                    row.append("%.2f (%.2f-%.2f)" % (statistics.median(x), min(x), max(x)))
            print("| %s | %s | %s |" % (os.path.basename(path), test, " | ".join(row)), flush=True)


if __name__ == "__main__":
    main()
