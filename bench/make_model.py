#!/usr/bin/env python3
"""Writes a GGUF of a real model's shape with random weights, for measuring speed.

  make_model.py SHAPE TYPE OUT.gguf [--layers N] [--seed N]

SHAPE is one of those in SHAPES below (the shapes of released models), TYPE one of F16
BF16 F32 Q8_0 Q4_0 Q4_K_M. The blocks are filled with random bits under small scales: the
speed of a product does not depend on its values. Types of single tensors follow what
llama.cpp's quantiser does for Q4_K_M (spec: rows that are no multiple of 256 fall back,
some ffn_down are promoted to Q6_K). Needs numpy.
"""
import argparse
import struct

import numpy as np

SHAPES = {
    # DeepSeek-V2-Lite, with the q_lora of larger members, as the table of issue 6 has it
    "v2-lite": dict(arch="deepseek2", hidden=2048, layers=27, heads=16, q_rank=768, kv_rank=512,
                    nope=128, rope=64, v=128, ffn=10944, dense=1, experts=64, used=6, shared=2,
                    ffn_exp=1408, vocab=102400),
    "moe-16b": dict(arch="deepseek", hidden=2048, layers=28, heads=16, kv_heads=16, ffn=10944,
                    dense=1, experts=64, used=6, shared=2, ffn_exp=1408, vocab=102400),
    "llm-7b": dict(arch="llama", hidden=4096, layers=30, heads=32, kv_heads=32, ffn=11008,
                   vocab=102400),
}

# name: (GGUF number, elements a block, bytes a block, offsets of f16 scales)
TYPES = {
    "F32": (0, 1, 4, None), "F16": (1, 1, 2, None), "BF16": (30, 1, 2, None),
    "Q4_0": (2, 32, 18, [0]), "Q5_0": (6, 32, 22, [0]), "Q8_0": (8, 32, 34, [0]),
    "Q4_K": (12, 256, 144, [0, 2]), "Q6_K": (14, 256, 210, [208]),
}
FALLBACK = {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def kv(key, kind, value):
    head = text(key) + struct.pack("<I", kind)
    if kind == 8:
        return head + text(value)
    if kind == 9:
        elem, values = value
        body = b"".join(text(v) for v in values) if elem == 8 else struct.pack("<%di" % len(values), *values)
        return head + struct.pack("<IQ", elem, len(values)) + body
    return head + struct.pack({4: "<I", 6: "<f", 7: "<?"}[kind], value)


def weights(rng, type_name, n):
    """n random elements of a type, as bytes."""
    number, elems, size, scales = TYPES[type_name]
    if scales is None:
        x = (rng.standard_normal(n, dtype=np.float32) * 0.02)
        if type_name == "F32":
            return x.tobytes()
        if type_name == "F16":
            return x.astype(np.float16).tobytes()
        return (x.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    blocks = rng.integers(0, 256, size=(n // elems, size), dtype=np.uint8)
    for at in scales:
        d = np.full(len(blocks), 0.0004, dtype=np.float16)
        blocks[:, at:at + 2] = d.view(np.uint8).reshape(-1, 2)
    return blocks.tobytes()


class Writer:
    def __init__(self, s, quant):
        self.s, self.quant, self.tensors = s, quant, []

    def add(self, name, ne, fixed=None):
        self.tensors.append((name, ne, fixed or self.type_of(name, ne)))

    def type_of(self, name, ne):
        t = self.quant
        if t == "Q4_K_M":
            t = "Q4_K"
            if name == "output.weight":
                t = "Q6_K"
            elif "ffn_down" in name:
                i, n = int(name.split(".")[1]), self.s["layers"]
                if i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2:
                    t = "Q6_K"
        if ne[0] % TYPES[t][1]:
            t = FALLBACK.get(t, "F16")
        return t


def plan(s, quant):
    w, h = Writer(s, quant), s["hidden"]
    w.add("token_embd.weight", [h, s["vocab"]])
    w.add("output_norm.weight", [h], "F32")
    w.add("output.weight", [h, s["vocab"]])
    for i in range(s["layers"]):
        p = "blk.%d." % i
        w.add(p + "attn_norm.weight", [h], "F32")
        w.add(p + "ffn_norm.weight", [h], "F32")
        if s["arch"] == "deepseek2":
            head = s["nope"] + s["rope"]
            w.add(p + "attn_q_a.weight", [h, s["q_rank"]])
            w.add(p + "attn_q_a_norm.weight", [s["q_rank"]], "F32")
            w.add(p + "attn_q_b.weight", [s["q_rank"], s["heads"] * head])
            w.add(p + "attn_kv_a_mqa.weight", [h, s["kv_rank"] + s["rope"]])
            w.add(p + "attn_kv_a_norm.weight", [s["kv_rank"]], "F32")
            w.add(p + "attn_k_b.weight", [s["nope"], s["kv_rank"], s["heads"]])
            w.add(p + "attn_v_b.weight", [s["kv_rank"], s["v"], s["heads"]])
            w.add(p + "attn_output.weight", [s["heads"] * s["v"], h])
        else:
            d = h // s["heads"]
            w.add(p + "attn_q.weight", [h, h])
            w.add(p + "attn_k.weight", [h, s["kv_heads"] * d])
            w.add(p + "attn_v.weight", [h, s["kv_heads"] * d])
            w.add(p + "attn_output.weight", [h, h])
        if i < s.get("dense", s["layers"]):
            w.add(p + "ffn_gate.weight", [h, s["ffn"]])
            w.add(p + "ffn_up.weight", [h, s["ffn"]])
            w.add(p + "ffn_down.weight", [s["ffn"], h])
            continue
        f, e, sh = s["ffn_exp"], s["experts"], s["shared"] * s["ffn_exp"]
        w.add(p + "ffn_gate_inp.weight", [h, e], "F32")
        w.add(p + "ffn_gate_exps.weight", [h, f, e])
        w.add(p + "ffn_up_exps.weight", [h, f, e])
        w.add(p + "ffn_down_exps.weight", [f, h, e])
        w.add(p + "ffn_gate_shexp.weight", [h, sh])
        w.add(p + "ffn_up_shexp.weight", [h, sh])
        w.add(p + "ffn_down_shexp.weight", [sh, h])
    return w.tensors


def keys(s):
    a = s["arch"] + "."
    out = [kv("general.architecture", 8, s["arch"]), kv("general.name", 8, "synthetic"),
           kv(a + "block_count", 4, s["layers"]), kv(a + "context_length", 4, 32768),
           kv(a + "embedding_length", 4, s["hidden"]), kv(a + "feed_forward_length", 4, s["ffn"]),
           kv(a + "attention.head_count", 4, s["heads"]),
           kv(a + "attention.head_count_kv", 4, s.get("kv_heads", 1)),
           kv(a + "attention.layer_norm_rms_epsilon", 6, 1e-6), kv(a + "vocab_size", 4, s["vocab"]),
           kv(a + "rope.freq_base", 6, 10000.0)]
    if s["arch"] == "deepseek2":
        out += [kv(a + "attention.q_lora_rank", 4, s["q_rank"]),
                kv(a + "attention.kv_lora_rank", 4, s["kv_rank"]),
                kv(a + "attention.key_length", 4, s["kv_rank"] + s["rope"]),
                kv(a + "attention.value_length", 4, s["kv_rank"]),
                kv(a + "attention.key_length_mla", 4, s["nope"] + s["rope"]),
                kv(a + "attention.value_length_mla", 4, s["v"]),
                kv(a + "rope.dimension_count", 4, s["rope"]), kv(a + "expert_gating_func", 4, 1)]
    else:
        out += [kv(a + "rope.dimension_count", 4, s["hidden"] // s["heads"])]
    if "experts" in s:
        out += [kv(a + "leading_dense_block_count", 4, s["dense"]), kv(a + "expert_count", 4, s["experts"]),
                kv(a + "expert_used_count", 4, s["used"]), kv(a + "expert_shared_count", 4, s["shared"]),
                kv(a + "expert_feed_forward_length", 4, s["ffn_exp"]), kv(a + "expert_weights_scale", 6, 1.0)]
    # A vocabulary that loads everywhere: the 256 bytes in their byte-level spelling, then
    # names that no text contains.
    printable = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    spell = {b: chr(b) for b in printable}
    spell.update({b: chr(256 + i) for i, b in enumerate(x for x in range(256) if x not in printable)})
    tokens = [spell[b] for b in range(256)] + ["tok%d" % i for i in range(256, s["vocab"])]
    out += [kv("tokenizer.ggml.model", 8, "gpt2"), kv("tokenizer.ggml.pre", 8, "deepseek-llm"),
            kv("tokenizer.ggml.tokens", 9, (8, tokens)),
            kv("tokenizer.ggml.token_type", 9, (5, [1] * s["vocab"])),
            kv("tokenizer.ggml.merges", 9, (8, ["a b"][:0])),
            kv("tokenizer.ggml.bos_token_id", 4, 300), kv("tokenizer.ggml.eos_token_id", 4, 301)]
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("shape", choices=sorted(SHAPES))
    ap.add_argument("type", choices=["F16", "BF16", "F32", "Q8_0", "Q4_0", "Q4_K_M"])
    ap.add_argument("out")
    ap.add_argument("--layers", type=int)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    s = dict(SHAPES[a.shape])
    if a.layers:
        s["layers"] = a.layers
    rng = np.random.default_rng(a.seed)
    tensors, meta, offset, infos = plan(s, a.type), keys(s), 0, b""
    sizes = []
    for name, ne, t in tensors:
        number, elems, size, _ = TYPES[t]
        n = int(np.prod(ne, dtype=np.int64))
        infos += text(name) + struct.pack("<I", len(ne)) + struct.pack("<%dQ" % len(ne), *ne) + struct.pack("<IQ", number, offset)
        sizes.append((n, n // elems * size))
        offset += (sizes[-1][1] + 31) // 32 * 32
    with open(a.out, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta)) + b"".join(meta) + infos)
        f.write(b"\0" * (-f.tell() % 32))
        for (name, ne, t), (n, size) in zip(tensors, sizes):
            if name.endswith("norm.weight"):
                f.write(np.ones(n, dtype=np.float32).tobytes())
            else:
                step = 1 << 24
                for at in range(0, n, step):
                    f.write(weights(rng, t, min(step, n - at)))
            f.write(b"\0" * (-f.tell() % 32))
    print("%s: %s %s, %d layers, %.2f GB" % (a.out, a.shape, a.type, s["layers"], offset / 1e9))


if __name__ == "__main__":
    main()
