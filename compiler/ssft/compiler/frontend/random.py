"""Random numbers as a pure function of (seed, step, draw site, element index).

The same few integer operations run inside the captured step and in PyTorch, so a run can be
repeated, resumed and compared bit for bit. The mixing function is the 32-bit finalizer with the
constants 0x21f0aaad and 0x735a2d97 (T. Ettinger's search, listed by C. Wellons, "hash-prospector",
bias 0.11); seed, step and site are hashed into two 32-bit keys, and an element's bits are
``mix(mix(index ^ key0) + key1)``. Everything is int32 with wrap-around, which vector units multiply
natively; a shift is followed by a mask because int32 shifts are arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ssft.compiler.diagnostics import UserError

_BITS = 24


def _mix(x: Tensor) -> Tensor:
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * 0x21F0AAAD
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = x * 0x735A2D97
    return x ^ ((x >> 15) & 0x1FFFF)


def _keys(seed: Tensor, step: Tensor, site: int) -> tuple[Tensor, Tensor]:
    seed = seed.to(torch.int64)
    low = (seed & 0x7FFFFFFF).to(torch.int32)
    high = ((seed >> 31) & 0x7FFFFFFF).to(torch.int32)
    key = _mix(_mix(low ^ 0x2545F491) + high)
    key = _mix(key + step.to(torch.int64).to(torch.int32))
    key = _mix(key + site)
    return key, _mix(key ^ 0x5BD1E995)


def random_bits(seed: Tensor, step: Tensor, site: int, shape: Sequence[int]) -> Tensor:
    """Returns an int32 tensor of `shape` with independent, uniform values in [0, 2**24).

    `seed` is a 0-d integer tensor (its low 62 bits count), `step` a 0-d tensor of any numeric dtype
    holding an integer, `site` the number of the draw in the program. An element's value depends on
    its row-major index, so at most 2**31 elements are possible.
    """
    count = math.prod(shape)
    if count > 2**31:
        raise UserError(f"a random draw of {count} elements is not supported (at most 2**31)")
    key0, key1 = _keys(seed, step, site)
    index = torch.arange(count, dtype=torch.int32, device=seed.device)
    bits = _mix(_mix(index ^ key0) + key1)
    return ((bits >> (32 - _BITS)) & ((1 << _BITS) - 1)).reshape(tuple(shape))


def random_uniform(
    seed: Tensor,
    step: Tensor,
    site: int,
    shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Returns uniform values in [0, 1), multiples of 2**-24, as `dtype`; see `random_bits`."""
    bits = random_bits(seed, step, site, shape)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    return (bits.to(exact) * 2.0**-_BITS).to(dtype)


def random_bernoulli(
    seed: Tensor, step: Tensor, site: int, shape: Sequence[int], p: float
) -> Tensor:
    """Returns a bool tensor that is true with probability `p` rounded to a multiple of 2**-24."""
    return random_bits(seed, step, site, shape) < round(p * (1 << _BITS))


def random_normal(
    seed: Tensor,
    step: Tensor,
    site: int,
    shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Returns standard normal values (Box-Muller over two draws of the same site)."""
    count = math.prod(shape)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    bits = random_bits(seed, step, site, (2, count)).to(exact)
    radius = torch.sqrt(-2.0 * torch.log((bits[0] + 1.0) * 2.0**-_BITS))
    angle = bits[1] * (2.0 * math.pi * 2.0**-_BITS)
    return (radius * torch.cos(angle)).reshape(tuple(shape)).to(dtype)


class DrawSites:
    """Numbers the random draws of one trace and evaluates them from its seed and step tensors."""

    def __init__(self) -> None:
        self.seed: Tensor | None = None
        self.step: Tensor | None = None
        self.count = 0

    def start(self, seed: Tensor, step: Tensor) -> None:
        """Begins a trace whose draws are functions of the 0-d tensors `seed` and `step`."""
        self.seed, self.step, self.count = seed, step, 0

    def _next(self) -> tuple[Tensor, Tensor, int]:
        assert self.seed is not None and self.step is not None, "a draw outside a trace"
        site = self.count
        self.count += 1
        return self.seed, self.step, site

    def uniform(self, like: Tensor) -> Tensor:
        """Draws uniform values of the shape and dtype of `like`."""
        return random_uniform(*self._next(), like.shape, like.dtype)

    def normal(self, like: Tensor) -> Tensor:
        """Draws standard normal values of the shape and dtype of `like`."""
        return random_normal(*self._next(), like.shape, like.dtype)

    def bernoulli(self, like: Tensor, p: float | Tensor) -> Tensor:
        """Draws booleans of the shape of `like` that are true with probability `p`."""
        if isinstance(p, Tensor):
            return random_uniform(*self._next(), like.shape) < p
        return random_bernoulli(*self._next(), like.shape, p)

    def integers(self, low: int, high: int, size: Sequence[int]) -> Tensor:
        """Draws int64 values in [low, high)."""
        bits = random_bits(*self._next(), size).to(torch.int64)
        return ((bits * (high - low)) >> _BITS) + low

    def decompositions(self) -> dict[Any, Callable[..., Any]]:
        """Returns replacements for ATen's random operations, as ``make_fx`` takes them."""
        aten = torch.ops.aten

        def empty(size: Sequence[int], dtype: torch.dtype | None) -> Tensor:
            assert self.seed is not None
            return self.seed.new_empty(tuple(size), dtype=dtype or torch.get_default_dtype())

        def like(x: Tensor, dtype: torch.dtype | None) -> Tensor:
            return x if dtype is None else x.to(dtype)

        def native_dropout(x: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
            if train is False or p == 0.0:
                return x.clone(), torch.ones_like(x, dtype=torch.bool)
            kept = self.bernoulli(x, 1.0 - p)
            return x * kept * (1.0 / (1.0 - p) if p < 1.0 else 0.0), kept

        return {
            aten.bernoulli.default: lambda x, *, generator=None: self.bernoulli(x, x).to(x.dtype),
            aten.bernoulli.p: lambda x, p, *, generator=None: self.bernoulli(x, p).to(x.dtype),
            aten.bernoulli_.float: lambda x, p=0.5, *, generator=None: x.copy_(
                self.bernoulli(x, p)
            ),
            aten.bernoulli_.Tensor: lambda x, p, *, generator=None: x.copy_(self.bernoulli(x, p)),
            aten.native_dropout.default: native_dropout,
            aten.rand.default: lambda size, *, dtype=None, **_: self.uniform(empty(size, dtype)),
            aten.rand_like.default: lambda x, *, dtype=None, **_: self.uniform(like(x, dtype)),
            aten.uniform_.default: lambda x, low=0.0, high=1.0, *, generator=None: x.copy_(
                self.uniform(x) * (high - low) + low
            ),
            aten.randint.default: lambda high, size, **_: self.integers(0, high, size),
            aten.randint.low: lambda low, high, size, **_: self.integers(low, high, size),
            aten.exponential_.default: lambda x, rate=1.0, *, generator=None: x.copy_(
                -torch.log1p(-self.uniform(x)) / rate
            ),
            aten.randn.default: lambda size, *, dtype=None, **_: self.normal(empty(size, dtype)),
            aten.randn_like.default: lambda x, *, dtype=None, **_: self.normal(like(x, dtype)),
            aten.normal_.default: lambda x, mean=0.0, std=1.0, *, generator=None: x.copy_(
                self.normal(x) * std + mean
            ),
        }
