#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The hub of tests/hub for pull.sh and journey.sh: pull_hub.py FOLDER [GGUF].

Writes FOLDER/env, what a shell needs to reach it, when it is ready. Bodies of files wait
while FOLDER/hold exists; FOLDER/fault names a fault of the CDN (hub.py)."""
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests", "hub"))
from hub import Hub  # noqa: E402

folder = sys.argv[1]
hub = Hub(folder, small_buffers=len(sys.argv) < 3)


def fault(request):
    try:
        with open(os.path.join(folder, "fault")) as f:
            return f.read().strip() or None if request.kind == "cdn" else None
    except FileNotFoundError:
        return None


def data(n, seed):
    return random.Random(seed).randbytes(n)


hub.fault = fault
hub.held = lambda: os.path.exists(os.path.join(folder, "hold"))
hub.add("org/big", {"模型-日本語🙂-big.Q4_K_M.gguf": data(8 << 20, 1)})
hub.add("org/quants", {"q.Q2_K.gguf": data(3000, 5), "q Q4 0.gguf": data(4000, 6)})
hub.add("org/broken", {"broken.gguf": data(2000, 2)})
hub.add("org/gated", {"g.gguf": data(1000, 3)}, gated=True)
hub.add("org/safe", {"config.json": b"{}", "model.safetensors": data(5000, 4)})
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as f:
        hub.add("org/real-GGUF", {"real.Q4_1.gguf": f.read()})
with open(os.path.join(folder, "env.new"), "w") as f:
    for name, value in hub.env().items():
        f.write(f"export {name}='{value}'\n")
os.rename(os.path.join(folder, "env.new"), os.path.join(folder, "env"))
threading.Event().wait()
