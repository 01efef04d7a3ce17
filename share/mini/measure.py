# SPDX-License-Identifier: MIT
"""Measures a hadal-mini file: expert load, MTP acceptance.

    python measure.py [-m ../hadal-mini.gguf] [--work DIR] [--count 160]

Reads the GGUF back into the PyTorch model (so what is measured is the file, Q8_0
and all), answers held-out questions greedily and looks at those conversations:
how often the MTP module drafted the token that came, and how evenly the experts
were used.  With --work, draws loss.png from the training curve; load.png always.
"""
import argparse
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models

import tokenizer
from model import Mini, Shape

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "eval"))


def load(path):
    """-> (model, vocabulary) of a GGUF file."""
    r = gguf.GGUFReader(path)
    get = lambda k: r.fields[k].contents()
    a = "deepseek2."
    dn = get(a + "attention.key_length_mla") - get(a + "rope.dimension_count")
    s = Shape(vocab=get(a + "vocab_size"), hidden=get(a + "embedding_length"), layers=get(a + "block_count") - 1, heads=get(a + "attention.head_count"),
              q_rank=get(a + "attention.q_lora_rank"), kv_rank=get(a + "attention.kv_lora_rank"), nope=dn, rope=get(a + "rope.dimension_count"),
              value=get(a + "attention.value_length_mla"), dense_width=get(a + "feed_forward_length"), experts=get(a + "expert_count"),
              experts_used=get(a + "expert_used_count"), expert_width=get(a + "expert_feed_forward_length"),
              route_scale=get(a + "expert_weights_scale"), rope_base=get(a + "rope.freq_base"), context=get(a + "context_length"))
    t = {x.name: torch.from_numpy(np.array(gguf.quants.dequantize(x.data, x.tensor_type), dtype=np.float32)) for x in r.tensors}
    w = {"embed": t["token_embd.weight"], "head": t["output.weight"], "norm.weight": t["output_norm.weight"]}
    for n in range(s.layers + 1):
        b, p = f"blk.{n}.", f"blocks.{n}." if n < s.layers else "mtp_block."
        w[p + "attn_norm.weight"], w[p + "ffn_norm.weight"] = t[b + "attn_norm.weight"], t[b + "ffn_norm.weight"]
        for ours, theirs in (("q_a", "attn_q_a"), ("q_a_norm.weight", "attn_q_a_norm"), ("q_b", "attn_q_b"), ("kv_a", "attn_kv_a_mqa"),
                             ("kv_a_norm.weight", "attn_kv_a_norm"), ("o", "attn_output")):
            w[p + "attn." + ours] = t[b + theirs + ".weight"]
        w[p + "attn.kv_b"] = torch.cat((t[b + "attn_k_b.weight"].transpose(1, 2), t[b + "attn_v_b.weight"]), 1).flatten(0, 1)
        f = p + "ffn."
        if b + "ffn_gate_inp.weight" not in t:
            w[f + "gate_up"] = torch.cat((t[b + "ffn_gate.weight"], t[b + "ffn_up.weight"]))
            w[f + "down"] = t[b + "ffn_down.weight"]
            continue
        w[f + "router"], w[f + "bias"] = t[b + "ffn_gate_inp.weight"], t[b + "exp_probs_b.bias"]
        w[f + "gate_up"] = torch.cat((t[b + "ffn_gate_exps.weight"], t[b + "ffn_up_exps.weight"]), 1)
        w[f + "down"] = t[b + "ffn_down_exps.weight"]
        w[f + "shared.gate_up"] = torch.cat((t[b + "ffn_gate_shexp.weight"], t[b + "ffn_up_shexp.weight"]))
        w[f + "shared.down"] = t[b + "ffn_down_shexp.weight"]
    b = f"blk.{s.layers}.nextn."
    w["mtp_eh"] = t[b + "eh_proj.weight"]
    for ours, theirs in (("mtp_enorm", "enorm"), ("mtp_hnorm", "hnorm"), ("mtp_norm", "shared_head_norm")):
        w[ours + ".weight"] = t[b + theirs + ".weight"]
    m = Mini(s)
    m.load_state_dict(w)
    tokens = get("tokenizer.ggml.tokens")[:-len(tokenizer.ADDED)]
    bpe = Tokenizer(models.BPE({x: i for i, x in enumerate(tokens)}, [tuple(x.split(" ", 1)) for x in get("tokenizer.ggml.merges")]))
    return m.eval(), tokenizer.Vocabulary(tokenizer.with_steps(bpe))


@torch.no_grad()
def answer(m, v, prompts, limit=160):
    """Greedy answers to a list of id lists, all at once (no cache: this is a check, not a chat)."""
    rows, done = [list(p) for p in prompts], [False] * len(prompts)
    for _ in range(limit):
        live = [i for i, d in enumerate(done) if not d]
        if not live:
            break
        width = max(len(rows[i]) for i in live)
        ids = torch.full((len(live), width), v.pad)
        for n, i in enumerate(live):
            ids[n, :len(rows[i])] = torch.tensor(rows[i])
        hid = m.trunk(ids, ids != v.pad)
        last = hid[torch.arange(len(live)), torch.tensor([len(rows[i]) - 1 for i in live])]
        for i, t in zip(live, F.linear(last, m.head).argmax(-1).tolist()):
            rows[i].append(t)
            done[i] = t == v.eos
    return rows


def draw(work, load_of, out):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    if work:
        c = json.loads((Path(work) / "curve.json").read_text())
        over = min(25, len(c))
        mean = lambda k: np.convolve([x[k] for x in c], np.ones(over) / over, "valid")
        seen = np.cumsum([x[4] for x in c])[over - 1:] / 1e6
        plt.figure(figsize=(7, 4))
        plt.semilogy(seen, mean(1), label="next token")
        plt.semilogy(seen, mean(2), label="MTP, the token after")
        plt.xlabel("million tokens")
        plt.ylabel("nats per answer token")
        plt.legend()
        plt.tight_layout()
        plt.savefig(out / "loss.png", dpi=80)
    fig, ax = plt.subplots(figsize=(7, 3))
    im = ax.imshow(load_of, cmap="viridis", vmin=0, vmax=2.5, aspect="auto")
    ax.set_xlabel("expert")
    ax.set_yticks(range(len(load_of)), [f"layer {i + 1}" for i in range(len(load_of) - 1)] + ["MTP"])
    for i, row in enumerate(load_of):
        for j, x in enumerate(row):
            ax.text(j, i, f"{x:.1f}", ha="center", va="center", color="white" if x < 1.6 else "black", fontsize=7)
    fig.colorbar(im, label="load / mean")
    fig.tight_layout()
    fig.savefig(out / "load.png", dpi=80)


def main():
    from run import parse
    ap = argparse.ArgumentParser()
    ap.add_argument("-m", "--model", default=str(HERE.parent / "hadal-mini.gguf"))
    ap.add_argument("--work")
    ap.add_argument("--count", type=int, default=160)
    args = ap.parse_args()
    torch.set_num_threads(2)
    m, v = load(args.model)
    questions = [t[1] for b in parse(HERE / "eval" / "single.txt") for t in b]
    questions = questions[::max(1, len(questions) // args.count)]
    prompts = [v.chat([("user", q)], answer=True)[0] for q in questions]
    rows = answer(m, v, prompts)
    for x in m.moes():
        x.load.zero_()
    hits = total = 0
    with torch.no_grad():
        for p, r in zip(prompts, rows):
            ids = torch.tensor([r])
            draft = F.linear(m.mtp(m.trunk(ids)[:, :-1], ids[:, 1:]), m.head).argmax(-1)[0]    # at p: token p + 2
            said = range(len(p) + 1, len(r))       # the first token of an answer comes from the prefill
            hits += sum(int(draft[i - 2] == r[i]) for i in said)
            total += len(said)
    load_of = np.array([(x.load / x.load.mean()).tolist() for x in m.moes()])
    print(f"{sum(p.numel() for p in m.parameters())} parameters, {len(questions)} questions")
    print(f"MTP: {hits} of {total} drafts accepted ({hits / total:.1%})")
    print(f"most loaded expert: {load_of.max():.2f} times the mean; by layer " + " ".join(f"{x:.2f}" for x in load_of.max(1)))
    draw(args.work, load_of, HERE)
    return int(hits / total < 0.6 or load_of.max() > 2.5)


if __name__ == "__main__":
    sys.exit(main())
