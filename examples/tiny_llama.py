"""A byte-level Llama written out by hand, weights at random: every operation of it is in view.

Nothing here knows of the compiler. `ssftc examples/tiny_llama.py -o plan.mlir` finds the functions
`model`, `batch` and `optimizer` by name; the loss is what `model()(**batch())` returns.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY = 256
HIDDEN = 64
HEADS = 4
HEAD_SIZE = HIDDEN // HEADS
FEED_FORWARD = 176
LAYERS = 2
BATCH, SEQUENCE = 2, 32


class RMSNorm(nn.Module):
    def __init__(self, size: int, epsilon: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        mean_square = x.pow(2).mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + self.epsilon) * self.weight


def rotate(x, cos, sin):
    """Rotary position embedding: turns each pair (i, i + half) of a head by a position's angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.key = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.value = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.output = nn.Linear(HIDDEN, HIDDEN, bias=False)

    def forward(self, x, cos, sin, mask):
        def split(y):  # [batch, position, hidden] -> [batch, head, position, in head]
            return y.unflatten(-1, (HEADS, HEAD_SIZE)).transpose(1, 2)

        query = rotate(split(self.query(x)), cos, sin)
        key = rotate(split(self.key(x)), cos, sin)
        scores = query @ key.transpose(-1, -2) / math.sqrt(HEAD_SIZE) + mask
        mixed = torch.softmax(scores, dim=-1) @ split(self.value(x))
        return self.output(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU: a gate decides, channel by channel, how much of `up` passes on to `down`."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, FEED_FORWARD, bias=False)
        self.up = nn.Linear(HIDDEN, FEED_FORWARD, bias=False)
        self.down = nn.Linear(FEED_FORWARD, HIDDEN, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(HIDDEN), Attention()
        self.feed_forward_norm, self.feed_forward = RMSNorm(HIDDEN), FeedForward()

    def forward(self, x, cos, sin, mask):
        x = x + self.attention(self.attention_norm(x), cos, sin, mask)
        return x + self.feed_forward(self.feed_forward_norm(x))


class TinyLlama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = RMSNorm(HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, tokens, labels):
        """Both [batch, position]; returns the mean cross entropy of the labels, a scalar."""
        position = torch.arange(tokens.shape[1], device=tokens.device)
        frequency = 10000.0 ** (-torch.arange(0, HEAD_SIZE, 2, device=tokens.device) / HEAD_SIZE)
        angle = torch.outer(position.float(), frequency)
        angle = torch.cat((angle, angle), dim=-1)
        cos, sin = angle.cos(), angle.sin()
        mask = torch.where(position[None, :] <= position[:, None], 0.0, -torch.inf)
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def model():
    torch.manual_seed(0)
    return TinyLlama()


def batch():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(VOCABULARY, (BATCH, SEQUENCE + 1), generator=generator)
    return {"tokens": tokens[:, :-1], "labels": tokens[:, 1:]}


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
