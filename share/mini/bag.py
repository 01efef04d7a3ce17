# SPDX-License-Identifier: MIT
"""The embedding learns first, alone: a bag of words that tells the topic.

A transformer of this size is slow to find out which words speak for which topic: after
an hour it knew less of the questions it had been trained on than a linear classifier
learns in seconds (Joulin et al. 2016, arXiv 1607.01759).  So the embedding begins as that
classifier's: the mean of a question's normalised embeddings, in RANK dimensions, gives
the topic.  One attention head starts as the one that takes this mean over the last twenty
or thirty tokens, by position alone, and training goes on from there.
"""
import torch
import torch.nn.functional as F

from induction import directions, heads_of

LAYER, HEAD = 2, 0           # of the head that takes the mean; induction.py has layers 0 and 1
NEAR = (5, 6, 7)             # pairs of RoPE whose turns over a question are small
CONSTANT_GAIN, OUT_GAIN, JUDGE_GAIN = 12.0, 6.0, 1.0


class Bag:
    """turn [rank, rank] and topics [topics, rank] over an embedding [vocabulary, h], of
    which the directions `seen` [rank, h] are looked at; the tokens `silent` say nothing."""

    def __init__(self, embedding, seen, topics, silent):
        self.embedding = embedding.clone().requires_grad_()
        self.seen, self.silent, rank = seen, silent, len(seen)
        self.turn = torch.eye(rank).requires_grad_()
        self.topics = torch.zeros(topics, rank, requires_grad=True)

    def scores(self, ids, starts):
        """ids: those of all questions, one after the other; starts: of each -> [n, topics]."""
        words = F.rms_norm(self.embedding, self.embedding.shape[1:])
        return F.rms_norm(F.embedding_bag(ids, words, starts, mode="mean") @ (self.turn @ self.seen).T, self.topics.shape[1:]) @ self.topics.T

    def learn(self, questions, epochs, rate=0.005):
        """questions(): a fresh list of (ids, topic)."""
        adam = torch.optim.Adam([{"params": [self.embedding], "top": rate}, {"params": [self.turn, self.topics], "top": 2 * rate}],
                                betas=(0.9, 0.95))
        for epoch in range(epochs):
            items, right = questions(), 0
            for i in range(0, len(items), 256):
                ids, starts, goal = gather(items[i:i + 256])
                scores = self.scores(ids, starts)
                F.cross_entropy(scores, goal).backward()
                self.embedding.grad[:, -1] = 0              # induction.py's constant
                for g in adam.param_groups:
                    g["lr"] = g["top"] * (1 - (epoch + i / len(items)) / epochs)
                adam.step()
                adam.zero_grad()
                right += int((scores.argmax(-1) == goal).sum())
            print(f"bag of words {epoch + 1} of {epochs}: topic {right / len(items):.3f}", flush=True)


def gather(items):
    starts, ids = [], []
    for question, _ in items:
        starts.append(len(ids))
        ids += question
    return torch.tensor(ids), torch.tensor(starts), torch.tensor([t for _, t in items])


def draw(maker, vocab, index, count):
    out = []
    while len(out) < count:
        turns, labels = maker.single()
        ids = vocab.encode_text(turns[0][1])
        if ids:
            out.append((ids, index[labels[0]]))
    return out


@torch.no_grad()
def place(model, judge, bag):
    """Puts what was learnt into the embedding, one head, and the judge's reading of it.

    The latent is normalised for each token; a large constant in it keeps the tokens'
    different lengths, which say how much each counts."""
    s = model.s
    rank = len(bag.seen)
    model.embed.copy_(bag.embedding)
    model.embed[bag.silent] -= model.embed[bag.silent] @ bag.seen.T @ bag.seen
    a = model.blocks[LAYER].attn
    q = heads_of(a.q_b, s, s.nope + s.rope)[HEAD]
    q.zero_()
    a.q_a[0] = 0
    a.q_a[0, -1] = 4                             # reads the constant, as in induction.py
    for pair in NEAR:
        q[s.nope + 2 * pair, 0] = 1.3
        a.kv_a[s.kv_rank + 2 * pair:s.kv_rank + 2 * pair + 2] = 0
        a.kv_a[s.kv_rank + 2 * pair, -1] = 1.3
    a.kv_a[:rank] = bag.turn @ bag.seen
    a.kv_a[rank] = 0
    a.kv_a[rank, -1] = CONSTANT_GAIN
    kv = heads_of(a.kv_b, s, s.nope + s.value)[HEAD]
    kv.zero_()
    kv[s.nope:s.nope + rank, :rank] = torch.eye(rank)
    out = directions(s)[3]
    a.o.view(s.hidden, s.heads, s.value)[:, HEAD, :rank] = OUT_GAIN * out.T
    judge.copy_(JUDGE_GAIN * bag.topics @ out)
