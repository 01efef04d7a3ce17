# SPDX-License-Identifier: MIT
"""The decoder of hadal-mini in PyTorch: the V3 form at a small size.

Owns the network only: shapes, forward pass, routing.  Knows nothing of text,
optimisers or files.  Names follow DeepSeek's papers: h hidden size, dn/dr/dv
the nope, rope and value parts of a head, dq/dc the ranks of the query and the
key-value latents, E routed experts of width F, K of them used.

Every matrix is [out, in]; the stacked expert matrices are [E, out, in].
"""
from dataclasses import dataclass, asdict

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Shape:
    vocab: int = 6144
    hidden: int = 192
    layers: int = 5            # trunk; the first is dense, the MTP module comes on top
    heads: int = 4
    q_rank: int = 96
    kv_rank: int = 64
    nope: int = 32
    rope: int = 32
    value: int = 64
    dense_width: int = 512
    experts: int = 16
    experts_used: int = 2
    expert_width: int = 64
    route_scale: float = 2.0
    rope_base: float = 10000.0
    eps: float = 1e-6
    context: int = 4096

    def dict(self):
        return asdict(self)


def matrix(*dims, gain=1.0):
    return nn.Parameter(torch.randn(*dims) * gain * dims[-1] ** -0.5)


def linear(x, w):
    """x W^T; while learning, in bfloat16, which is twice as fast where the CPU has it."""
    if torch.is_grad_enabled():
        return F.linear(x.bfloat16(), w.bfloat16()).float()
    return F.linear(x, w)


class Norm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotate(x, cos, sin):
    """RoPE on interleaved pairs (2i, 2i+1).  x [..., T, dr], cos and sin [T, dr/2]."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.q_a = matrix(s.q_rank, s.hidden)
        self.q_a_norm = Norm(s.q_rank, s.eps)
        self.q_b = matrix(s.heads * (s.nope + s.rope), s.q_rank)
        self.kv_a = matrix(s.kv_rank + s.rope, s.hidden)
        self.kv_a_norm = Norm(s.kv_rank, s.eps)
        self.kv_b = matrix(s.heads * (s.nope + s.value), s.kv_rank)
        self.o = matrix(s.hidden, s.heads * s.value, gain=0.3)

    def forward(self, x, cos, sin):
        s = self.s
        B, T, _ = x.shape
        q = linear(self.q_a_norm(linear(x, self.q_a)), self.q_b)
        q = q.view(B, T, s.heads, s.nope + s.rope).transpose(1, 2)
        qn, qr = q.split((s.nope, s.rope), -1)
        c, kr = linear(x, self.kv_a).split((s.kv_rank, s.rope), -1)
        kv = linear(self.kv_a_norm(c), self.kv_b)
        kv = kv.view(B, T, s.heads, s.nope + s.value).transpose(1, 2)
        kn, v = kv.split((s.nope, s.value), -1)
        kr = rotate(kr.unsqueeze(1), cos, sin).expand(B, s.heads, T, s.rope)
        q = torch.cat((qn, rotate(qr, cos, sin)), -1)
        k = torch.cat((kn, kr), -1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return linear(y.transpose(1, 2).reshape(B, T, -1), self.o)


class Swiglu(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_up = matrix(2 * width, hidden)      # gate rows, then up rows
        self.down = matrix(hidden, width, gain=0.3)

    def forward(self, x):
        g, u = linear(x, self.gate_up).chunk(2, -1)
        return linear(F.silu(g) * u, self.down)


class Moe(nn.Module):
    """Sigmoid router whose bias takes part in the choice only, and a shared expert."""

    def __init__(self, s):
        super().__init__()
        self.s = s
        self.router = matrix(s.experts, s.hidden)
        self.gate_up = matrix(s.experts, 2 * s.expert_width, s.hidden)
        self.down = matrix(s.experts, s.hidden, s.expert_width, gain=0.3)
        self.shared = Swiglu(s.hidden, s.expert_width)
        self.register_buffer("bias", torch.zeros(s.experts))
        self.register_buffer("load", torch.zeros(s.experts), persistent=False)

    def forward(self, x, valid):
        s = self.s
        p = torch.sigmoid(F.linear(x, self.router))
        pick = (p.detach() + self.bias).topk(s.experts_used, -1).indices      # [N, K]
        w = p.gather(-1, pick)
        w = w / (w.sum(-1, keepdim=True) + 1e-20) * s.route_scale
        order = pick.flatten().argsort(stable=True)
        counts = torch.bincount(pick.flatten(), minlength=s.experts)
        token = order // s.experts_used
        with torch.no_grad():
            live = valid[:, None].expand_as(pick).flatten()
            self.load += torch.bincount(pick.flatten()[live], minlength=s.experts)
        rows = x.index_select(0, token).split(counts.tolist())
        out = []
        for e, r in enumerate(rows):
            g, u = F.linear(r, self.gate_up[e]).chunk(2, -1)
            out.append(F.linear(F.silu(g) * u, self.down[e]))
        out = torch.cat(out) * w.flatten()[order].unsqueeze(-1)
        return self.shared(x).index_add(0, token, out)

    def balance(self, rate):
        """Loss-free balancing: the overloaded experts become a little less likely."""
        mean = self.load.mean()
        if mean > 0:
            self.bias += rate * torch.sign(mean - self.load)
            self.bias -= self.bias.mean()
        self.load.zero_()


class Block(nn.Module):
    def __init__(self, s, dense):
        super().__init__()
        self.attn_norm = Norm(s.hidden, s.eps)
        self.attn = Attention(s)
        self.ffn_norm = Norm(s.hidden, s.eps)
        self.dense = dense
        self.ffn = Swiglu(s.hidden, s.dense_width) if dense else Moe(s)

    def forward(self, x, cos, sin, valid):
        x = x + self.attn(self.attn_norm(x), cos, sin)
        f = self.ffn_norm(x)
        if self.dense:
            return x + self.ffn(f)
        return x + self.ffn(f.flatten(0, 1), valid).view_as(x)


class Mini(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.embed = nn.Parameter(torch.randn(s.vocab, s.hidden) * 0.3)
        self.blocks = nn.ModuleList(Block(s, i == 0) for i in range(s.layers))
        self.norm = Norm(s.hidden, s.eps)
        self.head = nn.Parameter(torch.randn(s.vocab, s.hidden) * 0.02)
        self.mtp_enorm = Norm(s.hidden, s.eps)
        self.mtp_hnorm = Norm(s.hidden, s.eps)
        self.mtp_eh = matrix(s.hidden, 2 * s.hidden)
        self.mtp_block = Block(s, False)
        self.mtp_norm = Norm(s.hidden, s.eps)
        angle = torch.outer(torch.arange(s.context).float(),
                            s.rope_base ** (-torch.arange(0, s.rope, 2).float() / s.rope))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def moes(self):
        return [b.ffn for b in list(self.blocks) + [self.mtp_block] if not b.dense]

    def trunk(self, ids, valid=None):
        """ids [B, T] -> hidden states after the final norm [B, T, h]."""
        T = ids.shape[1]
        valid = torch.ones_like(ids, dtype=torch.bool) if valid is None else valid
        x = F.embedding(ids, self.embed)
        for b in self.blocks:
            x = b(x, self.cos[:T], self.sin[:T], valid.flatten())
        return self.norm(x)

    def mtp(self, hidden, next_ids, valid=None):
        """hidden [B, T, h] of positions p and the tokens at p+1 -> states that predict p+2."""
        T = next_ids.shape[1]
        valid = torch.ones_like(next_ids, dtype=torch.bool) if valid is None else valid
        e = self.mtp_enorm(F.embedding(next_ids, self.embed))
        x = linear(torch.cat((e, self.mtp_hnorm(hidden)), -1), self.mtp_eh)
        x = self.mtp_block(x, self.cos[:T], self.sin[:T], valid.flatten())
        return self.mtp_norm(x)

    def loss(self, ids, target, mtp_weight):
        """ids [B, T]; target [B, T] bool: the tokens to be predicted (the assistant's).

        Returns (loss, main nll, mtp nll, states): heads run on the wanted positions only."""
        valid = ids != 2
        hid = self.trunk(ids, valid)
        main = self.nll(hid[:, :-1], ids[:, 1:], target[:, 1:])
        if not mtp_weight:
            return main, main.detach(), None, hid
        two = self.mtp(hid[:, :-1], ids[:, 1:], valid[:, 1:])
        draft = self.nll(two[:, :-1], ids[:, 2:], target[:, 2:])
        return main + mtp_weight * draft, main.detach(), draft.detach(), hid

    def nll(self, hidden, ids, want):
        """Of the wanted positions; their number is rounded up, so that few shapes occur."""
        rows, goal = hidden[want], ids[want]
        extra = -len(goal) % 128
        rows, goal = F.pad(rows, (0, 0, 0, extra)), F.pad(goal, (0, extra), value=-100)
        return F.cross_entropy(linear(rows, self.head), goal)
