# SPDX-License-Identifier: MIT
"""Trains hadal-mini: tokenizer, bag of words, network; goes on from its checkpoint.

    python train.py --work /tmp/mini [--steps N] [--decay N]

Everything is drawn from --seed.  A checkpoint holds weights, optimiser, the
state of the conversation maker and the loss so far, so that a run that was cut
off and one that was not give the same model.  Matrices learn with Muon, all
else (embedding, head, router, norms) with Adam; the routers' bias is moved
by load alone, there is no auxiliary loss.
"""
import argparse
import json
import os
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import bag
import data
import induction
import prior
import tokenizer
from model import Mini, Shape

BY_ADAM = ("router", "embed", "head")          # matrices that Muon does not move


class Muon:
    """Momentum whose update is made orthogonal (five Newton-Schulz steps), by shape."""

    def __init__(self, params, lr, momentum=0.95, decay=0.01):
        self.params, self.lr, self.momentum, self.decay = params, lr, momentum, decay
        self.buf = [torch.zeros_like(p) for p in params]

    @staticmethod
    def orthogonal(g):
        wide = g.shape[-2] <= g.shape[-1]
        x = g if wide else g.transpose(-1, -2)
        x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()    # enough: only its direction counts
        for _ in range(5):
            a = x @ x.transpose(-1, -2)
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return (x if wide else x.transpose(-1, -2)).float()

    @torch.no_grad()
    def step(self, scale, turn):
        """The experts, most of the parameters, take a double step at every other turn."""
        groups = {}
        for p, b in zip(self.params, self.buf):
            if p.grad is None:
                continue
            b.lerp_(p.grad, 1 - self.momentum)
            if p.dim() == 3 and turn % 2:
                continue
            u = p.grad.lerp(b, self.momentum)
            rows = split(p)
            groups.setdefault(rows[1:], []).append((p, u.reshape(-1, *rows[1:])))
        for shape, items in groups.items():
            o = self.orthogonal(torch.cat([u for _, u in items]))
            o = o * (self.lr * scale * max(1, shape[0] / shape[1]) ** 0.5)
            for (p, u), x in zip(items, o.split([len(u) for _, u in items])):
                x = x * 2 if p.dim() == 3 else x
                p.mul_(1 - self.lr * scale * self.decay).sub_(x.reshape(p.shape))


def split(p):
    """How a parameter is cut into matrices: stacked gate and up halves are two each."""
    n = 2 if getattr(p, "halves", False) else 1
    lead = p.shape[0] if p.dim() == 3 else 1
    return (lead * n, p.shape[-2] // n, p.shape[-1])


class Batches:
    """Conversations as padded batches of about `tokens` tokens, of similar length."""

    def __init__(self, maker, vocab, tokens, cut=0.0, single=0.0, pool=700, longest=1200):
        self.maker, self.vocab, self.tokens, self.pool, self.longest = maker, vocab, tokens, pool, longest
        self.cut, self.single, self.ready = cut, single, []
        self.topics = {n: i for i, n in enumerate([*maker.guide.topics, *data.LABELS])}

    def refill(self):
        items = []
        rng = self.maker.rng
        while len(items) < self.pool:
            alone = rng.random() < self.single
            turns, labels = self.maker.single() if alone else self.maker.labelled()
            ids, said = self.vocab.chat(turns)
            if labels[-1] not in data.LABELS and (alone or rng.random() < self.cut):
                # its beginning says whether the question was understood
                last = len(ids) - 1 - ids[::-1].index(self.vocab.assistant)
                end = last + 1 + rng.randint(3, 10)
                ids, said = ids[:end], said[:end]
            if len(ids) <= self.longest:
                items.append((ids, said, [self.topics[x] for x in labels]))
        items.sort(key=lambda x: len(x[0]))
        batch = []
        for item in items:
            if batch and -(-len(item[0]) // 8) * 8 * (len(batch) + 1) > self.tokens:
                self.ready.append(batch)
                batch = []
            batch.append(item)
        self.ready.append(batch)
        rng.shuffle(self.ready)

    def copies(self):
        """Long texts to be repeated: from them it learns to find what followed the same
        token before, and so to say a name of several tokens again."""
        batch, width = [], 0
        while True:
            question, answer = self.maker.repeat(self.maker.rng.randint(6, 24))
            ids, said = self.vocab.chat([("user", question), ("assistant", answer)])
            width = max(width, -(-len(ids) // 8) * 8)
            if batch and width * (len(batch) + 1) > self.tokens:
                return collate(batch, self.tokens)
            batch.append((ids, said, [self.topics["asked"]]))

    def at(self, step):
        """Of the first steps every second is an echo; later copying is every sixteenth."""
        if step < 100 and step % 2 == 1:
            return *induction.echoes(self.maker.rng, self.vocab.bpe.get_vocab_size(), self.tokens), None
        if step % 16 == 3:
            return self.copies()
        if not self.ready:
            self.refill()
        return collate(self.ready.pop(), self.tokens)


def collate(batch, tokens):
    width = -(-max(len(x[0]) for x in batch) // 8) * 8
    height = max(len(batch), tokens // width)          # few shapes: empty rows make up the number
    ids = torch.full((height, width), 2)
    said = torch.zeros(height, width, dtype=torch.bool)
    for row, (i, s, _) in enumerate(batch):
        ids[row, :len(i)] = torch.tensor(i)
        said[row, :len(s)] = torch.tensor(s)
    return ids, said, torch.tensor([t for x in batch for t in x[2]])


def rate(step, args):
    """Warm up, hold, and fall to a twentieth over the last --decay steps."""
    up = min(1.0, (step + 1) / args.warm)
    down = min(1.0, max(0.05, (args.steps - step) / max(1, args.decay)))
    return up * down


def make_vocabulary(path, seed, size):
    maker = data.Maker(seed + 1, data.banned_questions())
    texts = []
    for _ in range(12000):
        texts += [t for _, t in maker.conversation()]
    for t in maker.guide.topics.values():
        for a in t.answers:
            texts += [a if isinstance(a, str) else maker.guide.grammar.draw(maker.rng, a)] * 20
    texts += ["".join(prior.words(3000))] * 40
    tokenizer.train(texts, size, path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", default="/tmp/hadal-mini")
    ap.add_argument("--steps", type=int, default=3700)
    ap.add_argument("--decay", type=int, default=3400)
    ap.add_argument("--tokens", type=int, default=2048)
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--hold", type=int, default=300, help="steps for which what bag.py and induction.py placed keeps still")
    ap.add_argument("--warm", type=int, default=100)
    ap.add_argument("--muon", type=float, default=0.006)
    ap.add_argument("--adam", type=float, default=0.003)
    ap.add_argument("--embed", type=float, default=0.0015)
    ap.add_argument("--balance", type=float, default=0.004)
    ap.add_argument("--cut", type=float, default=0.6, help="share of the other conversations whose last answer is cut short")
    ap.add_argument("--single", type=float, default=0.6, help="share of questions that stand alone, with the answer's beginning")
    ap.add_argument("--words", type=int, default=30000, help="questions in each of 12 epochs of bag.py")
    ap.add_argument("--plain", action="store_true", help="a random embedding to begin with (see prior.py)")
    ap.add_argument("--core", action="store_true", help="only the commonest topics")
    ap.add_argument("--save", type=int, default=100)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.set_flush_denormal(True)
    work = Path(args.work)
    work.mkdir(parents=True, exist_ok=True)
    shape = Shape()
    if not (work / "bpe.json").exists():
        make_vocabulary(work / "bpe.json", args.seed, shape.vocab)
    vocab = tokenizer.Vocabulary(work / "bpe.json")
    shape.vocab = vocab.size
    model = Mini(shape)
    start = None if args.plain else prior.embedding(vocab, shape.hidden)
    if start is not None:
        model.embed.data.copy_(torch.from_numpy(start))
    induction.begin(model)
    for name, p in model.named_parameters():
        p.halves = name.endswith("gate_up")
    matrices = [p for n, p in model.named_parameters() if p.dim() >= 2 and not n.endswith(BY_ADAM)]
    others = [p for n, p in model.named_parameters() if p.dim() < 2 or n.endswith(("router", "head"))]
    muon = Muon(matrices, args.muon)
    batches = Batches(data.Maker(args.seed * 1000 + 3, data.banned_questions(), args.core), vocab, args.tokens, args.cut, args.single)
    judge = torch.nn.Parameter(torch.zeros(len(batches.topics), shape.hidden))
    others.append(judge)
    # the embedding moves slowly: what prior.py knows of rare words must stay near the common ones
    adam = torch.optim.AdamW([{"params": others, "top": args.adam}, {"params": [model.embed], "top": args.embed}],
                             betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    placed = [model.embed, *(p for b in model.blocks[:bag.LAYER + 1] for p in b.attn.parameters())]
    curve, step = [], 0
    saved = work / "checkpoint.pt"
    if saved.exists():
        c = torch.load(saved, weights_only=False)
        model.load_state_dict(c["model"])
        adam.load_state_dict(c["adam"])
        judge.data.copy_(c["judge"])
        for b, x in zip(muon.buf, c["muon"]):
            b.copy_(x)
        batches.maker.rng.setstate(c["rng"])
        batches.ready, curve, step = c["ready"], c["curve"], c["step"]
        print("going on from step", step, flush=True)
    else:
        words = bag.Bag(model.embed.detach(), induction.directions(shape)[2], len(batches.topics), vocab.special())
        words.learn(lambda: bag.draw(batches.maker, vocab, batches.topics, args.words), 12)
        bag.place(model, judge, words)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    t0, seen, draft_nll, right = time.time(), 0, curve[-1][2] if curve else 0.0, curve[-1][5] if curve else 0.0
    while step < args.steps:
        ids, said, topic = batches.at(step)
        loss, main_nll, draft, state = model.loss(ids, said, 0.4 if step % 4 == 0 else 0)
        if topic is not None:
            guess = F.linear(state[ids == vocab.assistant], judge)
            loss = loss + 0.4 * F.cross_entropy(guess, topic)
            right = float((guess.argmax(-1) == topic).float().mean())
        draft_nll = draft_nll if draft is None else draft      # the MTP module learns at every fourth step
        loss.backward()
        if step < args.hold:
            for p in placed:
                p.grad = None
        torch.nn.utils.clip_grad_norm_(others + [model.embed], 1.0)
        r = rate(step, args)
        for g in adam.param_groups:
            g["lr"] = g["top"] * r
        muon.step(r, step)                       # parameters without a gradient keep still
        adam.step()
        model.zero_grad(set_to_none=True)
        peak = [float(m.load.max() / m.load.mean()) for m in model.moes() if m.load.sum()]
        for m in model.moes():
            m.balance(args.balance * r)
        step += 1
        seen += ids.numel()
        judge.grad = None
        curve.append((step, float(main_nll), float(draft_nll), max(peak), ids.numel(), right))
        if step % 20 == 0:
            last = curve[-20:]
            n = len(last)
            print(f"step {step} nll {sum(c[1] for c in last) / n:.4f} draft {sum(c[2] for c in last) / n:.4f} "
                  f"topic {sum(c[5] for c in last) / n:.3f} peak load {sum(c[3] for c in last) / n:.2f} rate {r:.2f} {seen / (time.time() - t0):.0f} tokens/s", flush=True)
        if step % args.save == 0 or step == args.steps:
            c = {"model": model.state_dict(), "adam": adam.state_dict(), "muon": muon.buf, "judge": judge.data, "rng": batches.maker.rng.getstate(),
                 "ready": batches.ready, "curve": curve, "step": step, "shape": shape.dict()}
            torch.save(c, str(saved) + ".part")
            os.replace(str(saved) + ".part", saved)
            (work / "curve.json").write_text(json.dumps(curve))


if __name__ == "__main__":
    main()
