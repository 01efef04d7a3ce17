# SPDX-License-Identifier: MIT
"""A network that can copy before it has learnt anything else.

To say again a name of several tokens, attention must find what followed the same
token before: an induction head (Olsson et al. 2022, arXiv 2209.11895), two layers
that are of use only together, which is why training comes upon them late: not in the
11 million tokens of an earlier run of this model.  So the first head of two layers
starts as such a pair ("mimetic" initialisation: Trockman and Kolter 2023, arXiv
2305.09828), and training goes on from there:

  layer 0, head 0   looks at the token before, by position alone, and writes what it
                    is into directions of the residual stream kept for that;
  layer 1, head 0   compares the token now with what came before each earlier one, and
                    adds, of those where they agree, the token itself.

Position alone needs a query and a key that no token changes: one coordinate of
the embedding is the same for all tokens, and all have the same length.
"""
import torch

CONSTANT = 0.6               # the coordinate that all tokens share, of 192 with deviation 0.3


def level(embedding, spread=0.3):
    """Rows [vocabulary, h] of one length, with the constant as last coordinate."""
    e = embedding / embedding.norm(dim=1, keepdim=True) * spread * embedding.shape[1] ** 0.5
    e[:, -1] = CONSTANT
    return e


def directions(shape):
    """Four orthogonal sets of directions of the residual stream; none has the constant.

    What a token is and what the one before it was, [nope, h] each, are for the heads
    here; the two of [kv_rank - 1, h] that follow are for bag.py."""
    g = torch.Generator().manual_seed(5)
    q, _ = torch.linalg.qr(torch.randn(shape.hidden - 1, shape.hidden - 1, generator=g))
    q = torch.nn.functional.pad(q, (0, 1))
    return q[:2 * (shape.nope + shape.kv_rank - 1)].split((shape.nope,) * 2 + (shape.kv_rank - 1,) * 2)


def heads_of(matrix, shape, width):
    return matrix.view(shape.heads, width, -1)


def look_back(a, s, token, before):
    """Layer 0: q of position p and k of position p - 1 meet; the slower pairs count less."""
    turn = s.rope_base ** (-torch.arange(0, s.rope, 2).float() / s.rope)
    weight = torch.cat((torch.tensor([1, 1, 1, 1, 0.8, 0.6, 0.4, 0.3]), torch.full((s.rope // 2 - 8,), 0.1)))
    a.q_a[0] = 0
    a.q_a[0, -1] = 4
    q = heads_of(a.q_b, s, s.nope + s.rope)[0]
    q.zero_()
    q[s.nope::2, 0] = 2 * weight
    a.kv_a[s.kv_rank:] = 0                       # the key's rope part: one for all heads
    a.kv_a[s.kv_rank::2, -1] = 2 * weight * turn.cos()
    a.kv_a[s.kv_rank + 1::2, -1] = 2 * weight * turn.sin()
    a.kv_a[:s.nope] = token
    kv = heads_of(a.kv_b, s, s.nope + s.value)[0]
    kv.zero_()
    kv[s.nope:2 * s.nope, :s.nope] = torch.eye(s.nope)
    a.o.view(s.hidden, s.heads, s.value)[:, 0, :s.nope] = 0.6 * before.T


def find_again(a, s, token, before):
    """Layer 1: q reads the token, k what came before; v is the token."""
    a.q_a[s.nope:] *= 0.5
    a.q_a[:s.nope] = token
    q = heads_of(a.q_b, s, s.nope + s.rope)[0]
    q.zero_()
    q[:s.nope, :s.nope] = 2 * torch.eye(s.nope)
    a.kv_a[:s.nope] = before
    a.kv_a[s.nope:2 * s.nope] = token
    kv = heads_of(a.kv_b, s, s.nope + s.value)[0]
    kv.zero_()
    kv[:s.nope, :s.nope] = 2 * torch.eye(s.nope)
    kv[s.nope:2 * s.nope, s.nope:2 * s.nope] = torch.eye(s.nope)
    a.o.view(s.hidden, s.heads, s.value)[:, 0, :s.nope] = token.T


@torch.no_grad()
def begin(model):
    """Changes the embedding, the output head and two heads of a fresh `model`."""
    s = model.s
    for b in [*model.blocks, model.mtp_block]:   # all else begins to speak when it has something to say
        b.attn.o.zero_()
        for f in (b.ffn, getattr(b.ffn, "shared", b.ffn)):
            f.down.zero_()
    model.embed.copy_(level(model.embed))
    model.head.copy_(0.2 * model.embed)          # what is copied is said
    token, before, _, _ = directions(s)
    look_back(model.blocks[0].attn, s, token, before)
    find_again(model.blocks[1].attn, s, token, before)


def echoes(rng, vocab, tokens, width=128):
    """A batch of random tokens that are repeated, (ids, wanted): [tokens / width, width] each."""
    ids = torch.full((tokens // width, width), 2)
    wanted = torch.zeros(ids.shape, dtype=torch.bool)
    for row, want in zip(ids, wanted):
        at = 0
        while at + 8 <= width:
            n = min(rng.choice((4, 8, 16, 32, 63)), (width - at) // 2)
            text = torch.tensor([rng.randrange(8, vocab) for _ in range(n)])
            row[at:at + 2 * n] = torch.cat((text, text))
            want[at + n + 1:at + 2 * n] = True
            at += 2 * n
    return ids, wanted
