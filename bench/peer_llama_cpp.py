#!/usr/bin/env python3
"""Speed of llama.cpp on a GGUF, through llama-cpp-python's low-level calls.

  peer_llama_cpp.py MODEL --threads N -p TOKENS -n TOKENS -d DEPTH -r RUNS
  peer_llama_cpp.py MODEL --threads N -p TOKENS --start

Prints the JSON array that `hadal bench --json` prints, so that compare.py reads both;
with --start the seconds from loading the model to the first token, and of the prefill
in them.
"""
import argparse
import ctypes
import json
import statistics
import time

import llama_cpp as L


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("model")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("-p", type=int, default=256)
    ap.add_argument("-n", type=int, default=32)
    ap.add_argument("-d", type=int, default=0)
    ap.add_argument("-r", type=int, default=3)
    ap.add_argument("--start", action="store_true")
    a = ap.parse_args()
    began = time.perf_counter()
    quiet = L.llama_log_callback(lambda *_: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    L.llama_backend_init()
    mp = L.llama_model_default_params()
    mp.n_gpu_layers = 0
    model = L.llama_model_load_from_file(a.model.encode(), mp)
    cp = L.llama_context_default_params()
    cp.n_ctx = max(a.p, a.d + a.n) + 64
    cp.n_batch = 2048
    cp.n_ubatch = 512
    cp.n_threads = cp.n_threads_batch = a.threads
    ctx = L.llama_init_from_model(model, cp)
    mem = L.llama_get_memory(ctx)
    vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))

    def decode(n, start=0):
        ids = (ctypes.c_int32 * n)(*[(start + i * 7919) % min(vocab, 20000) + 300 for i in range(n)])
        if L.llama_decode(ctx, L.llama_batch_get_one(ids, n)) != 0:
            raise SystemExit("llama_decode failed")
        L.llama_synchronize(ctx)

    def rate(count, step):
        t = time.perf_counter()
        step()
        return count / (time.perf_counter() - t)

    if a.start:
        loaded = time.perf_counter()
        decode(a.p)
        done = time.perf_counter()
        print(json.dumps({"total_s": done - began, "prefill_s": done - loaded}))
        return
    tests = []
    if a.p:
        def prefill():
            for at in range(0, a.p, 2048):
                decode(min(2048, a.p - at), at)
        runs = []
        for i in range(a.r + 1):
            L.llama_memory_clear(mem, True)
            runs.append(rate(a.p, prefill))
        tests.append(("prefill", a.p, 0, runs[1:]))
    if a.n:
        runs = []
        for i in range(a.r):
            L.llama_memory_clear(mem, True)
            for at in range(0, a.d, 2048):
                decode(min(2048, a.d - at), at)
            decode(1)
            runs.append(rate(a.n, lambda: [decode(1, i) for i in range(a.n)]))
        tests.append(("decode", a.n, a.d, runs))
    print(json.dumps([{"test": t, "tokens": n, "depth": d, "threads": a.threads, "device": "cpu",
                       "tokens_per_s": {"median": statistics.median(r), "min": min(r), "max": max(r)}}
                      for t, n, d, r in tests]))


main()
