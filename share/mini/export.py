# SPDX-License-Identifier: MIT
"""Writes a checkpoint of hadal-mini as a GGUF file of architecture deepseek2.

Matrices become Q8_0; norms, the router and its bias stay F32.  kv_b is split
into attn_k_b (transposed per head) and attn_v_b, as converters do today; the
MTP module is the last block.

    python export.py --work /tmp/hadal-mini --out ../hadal-mini.gguf
"""
import argparse
from pathlib import Path

import gguf
import numpy as np
import torch

import tokenizer

MATRIX = gguf.GGMLQuantizationType.Q8_0


def tensors(w, s):
    """(name, array, quantise) of every tensor; names as llama.cpp has them."""
    yield "token_embd.weight", w["embed"], True
    yield "output.weight", w["head"], True
    yield "output_norm.weight", w["norm.weight"], False
    prefixes = [f"blocks.{i}." for i in range(s["layers"])] + ["mtp_block."]
    for n, p in enumerate(prefixes):
        b, a = f"blk.{n}.", p + "attn."
        yield b + "attn_norm.weight", w[p + "attn_norm.weight"], False
        yield b + "ffn_norm.weight", w[p + "ffn_norm.weight"], False
        yield b + "attn_q_a.weight", w[a + "q_a"], True
        yield b + "attn_q_a_norm.weight", w[a + "q_a_norm.weight"], False
        yield b + "attn_q_b.weight", w[a + "q_b"], True
        yield b + "attn_kv_a_mqa.weight", w[a + "kv_a"], True
        yield b + "attn_kv_a_norm.weight", w[a + "kv_a_norm.weight"], False
        kv = w[a + "kv_b"].view(s["heads"], s["nope"] + s["value"], s["kv_rank"])
        k, v = kv.split((s["nope"], s["value"]), 1)
        yield b + "attn_k_b.weight", k.transpose(1, 2).contiguous(), True    # [heads, kv_rank, nope]
        yield b + "attn_v_b.weight", v.contiguous(), True                    # [heads, value, kv_rank]
        yield b + "attn_output.weight", w[a + "o"], True
        f = p + "ffn."
        if f + "router" not in w:
            gate, up = w[f + "gate_up"].chunk(2)
            yield b + "ffn_gate.weight", gate, True
            yield b + "ffn_up.weight", up, True
            yield b + "ffn_down.weight", w[f + "down"], True
        else:
            yield b + "ffn_gate_inp.weight", w[f + "router"], False
            yield b + "exp_probs_b.bias", w[f + "bias"], False
            gate, up = w[f + "gate_up"].chunk(2, 1)
            yield b + "ffn_gate_exps.weight", gate.contiguous(), True
            yield b + "ffn_up_exps.weight", up.contiguous(), True
            yield b + "ffn_down_exps.weight", w[f + "down"], True
            gate, up = w[f + "shared.gate_up"].chunk(2)
            yield b + "ffn_gate_shexp.weight", gate, True
            yield b + "ffn_up_shexp.weight", up, True
            yield b + "ffn_down_shexp.weight", w[f + "shared.down"], True
    b = f"blk.{s['layers']}.nextn."
    yield b + "eh_proj.weight", w["mtp_eh"], True
    yield b + "enorm.weight", w["mtp_enorm.weight"], False
    yield b + "hnorm.weight", w["mtp_hnorm.weight"], False
    yield b + "shared_head_norm.weight", w["mtp_norm.weight"], False


def keys(g, s):
    g.add_name("hadal-mini")
    g.add_description("The small built-in guide of hadal")
    g.add_license("mit")
    g.add_languages(["en", "zh"])
    g.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    g.add_quantization_version(2)
    g.add_float32("general.sampling.temp", 0.2)      # a guide should not be inventive
    g.add_float32("general.sampling.top_p", 0.9)
    g.add_block_count(s["layers"] + 1)
    g.add_nextn_predict_layers(1)
    g.add_context_length(s["context"])
    g.add_embedding_length(s["hidden"])
    g.add_feed_forward_length(s["dense_width"])
    g.add_leading_dense_block_count(1)
    g.add_vocab_size(s["vocab"])
    g.add_head_count(s["heads"])
    g.add_head_count_kv(1)
    g.add_layer_norm_rms_eps(s["eps"])
    g.add_rope_freq_base(s["rope_base"])
    g.add_rope_dimension_count(s["rope"])
    g.add_q_lora_rank(s["q_rank"])
    g.add_kv_lora_rank(s["kv_rank"])
    g.add_key_length(s["kv_rank"] + s["rope"])
    g.add_value_length(s["kv_rank"])
    g.add_key_length_mla(s["nope"] + s["rope"])
    g.add_value_length_mla(s["value"])
    g.add_expert_count(s["experts"])
    g.add_expert_used_count(s["experts_used"])
    g.add_expert_shared_count(1)
    g.add_expert_feed_forward_length(s["expert_width"])
    g.add_expert_group_count(1)
    g.add_expert_group_used_count(1)
    g.add_expert_weights_scale(s["route_scale"])
    g.add_expert_weights_norm(True)
    g.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def vocabulary(g, path):
    v = tokenizer.Vocabulary(path)
    bpe = v.bpe.get_vocab()
    tokens = [t for t, _ in sorted(bpe.items(), key=lambda x: x[1])] + list(v.added)
    types = [3, 3, 3] + [1] * (len(bpe) - 3) + [4 if "think>" in t else 3 for t in v.added]
    import json
    merges = json.loads(Path(path).read_text("utf-8"))["model"]["merges"]
    g.add_tokenizer_model("gpt2")
    g.add_tokenizer_pre("deepseek-v3")
    g.add_token_list(tokens)
    g.add_token_types(types)
    g.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    g.add_bos_token_id(v.bos)
    g.add_eos_token_id(v.eos)
    g.add_pad_token_id(v.pad)
    g.add_add_bos_token(True)
    g.add_add_eos_token(False)
    g.add_chat_template(tokenizer.TEMPLATE)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", default="/tmp/hadal-mini")
    ap.add_argument("--out", default=str(Path(__file__).resolve().parent.parent / "hadal-mini.gguf"))
    args = ap.parse_args()
    c = torch.load(Path(args.work) / "checkpoint.pt", weights_only=False, map_location="cpu")
    s = c["shape"]
    g = gguf.GGUFWriter(args.out, "deepseek2")
    keys(g, s)
    vocabulary(g, Path(args.work) / "bpe.json")
    for name, t, quantise in tensors(c["model"], s):
        a = np.ascontiguousarray(t.float().numpy())
        if quantise:
            assert a.shape[-1] % 32 == 0, name
            g.add_tensor(name, gguf.quants.quantize(a, MATRIX), raw_dtype=MATRIX)
        else:
            g.add_tensor(name, a)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()
    print(args.out, Path(args.out).stat().st_size, "bytes, step", c["step"])


if __name__ == "__main__":
    main()
