"""The tensor unit's inner loops, compiled: packing, products in trees of 16, rounding back.

Operands are packed so that every product runs over adjacent elements: A as ``[batch, m, k]`` and B
as ``[batch, panel, k, WIDTH]``, k filled up to a multiple of 16, n to one of `WIDTH`, with +0.
"""

from __future__ import annotations

import numpy as np

from ssft.hwmodel.machine.jit import jit

GROUP = 16
WIDTH = 32
"""Columns of C computed together: two or four vector registers."""

_W = np.uint64(WIDTH)


@jit
def pack_rows(memory, base, batch, outer, inner, packed):  # type: ignore[no-untyped-def]
    """``packed[b, i, j] = memory[base + batch[b] + outer[i] + inner[j]]``, f32."""
    for b in range(batch.size):
        for i in range(outer.size):
            start = base + batch[b] + outer[i]
            row = packed[b, i]
            for j in range(inner.size):
                row[j] = memory[start + inner[j]]


@jit
def pack_panels(memory, base, batch, outer, inner, packed):  # type: ignore[no-untyped-def]
    """As `pack_rows`, to panels of `WIDTH` columns: ``packed[b, j // WIDTH, i, j % WIDTH]``."""
    for b in range(batch.size):
        for i in range(outer.size):
            start = base + batch[b] + outer[i]
            for j in range(inner.size):
                packed[b, j // WIDTH, i, j % WIDTH] = memory[start + inner[j]]


@jit
def unpack_rows(packed, memory, base, batch, outer, inner):  # type: ignore[no-untyped-def]
    """``memory[base + batch[b] + outer[i] + inner[j]] = packed[b, i, j]``."""
    for b in range(batch.size):
        for i in range(outer.size):
            start = base + batch[b] + outer[i]
            row = packed[b, i]
            for j in range(inner.size):
                memory[start + inner[j]] = row[j]


@jit
def multiply(a, b, c):  # type: ignore[no-untyped-def]
    """Adds the products of packed A and B to C ``[batch, m, panels * WIDTH]``.

    Each group of 16 products is a balanced tree, neighbours first; groups are added in order.
    """
    acc = np.empty(WIDTH, np.float32)
    flat = b.reshape(-1)
    panels, depth = b.shape[1], b.shape[2]
    for batch in range(a.shape[0]):
        for panel in range(panels):
            for i in range(a.shape[1]):
                out = c[batch, i, panel * WIDTH : (panel + 1) * WIDTH]
                acc[:] = out
                for k in range(0, depth, GROUP):
                    x = a[batch, i, k : k + GROUP]
                    x0, x1, x2, x3 = x[0], x[1], x[2], x[3]
                    x4, x5, x6, x7 = x[4], x[5], x[6], x[7]
                    x8, x9, xa, xb = x[8], x[9], x[10], x[11]
                    xc, xd, xe, xf = x[12], x[13], x[14], x[15]
                    # Unsigned positions: signed ones are tested for being negative, which keeps
                    # LLVM from vectorising the loop.
                    start = np.uint64(((batch * panels + panel) * depth + k) * WIDTH)
                    for lane in range(WIDTH):
                        j = np.uint64(lane)
                        p = start + j
                        s0 = x0 * flat[p] + x1 * flat[p + _W]
                        p += _W + _W
                        s1 = x2 * flat[p] + x3 * flat[p + _W]
                        p += _W + _W
                        s2 = x4 * flat[p] + x5 * flat[p + _W]
                        p += _W + _W
                        s3 = x6 * flat[p] + x7 * flat[p + _W]
                        p += _W + _W
                        s4 = x8 * flat[p] + x9 * flat[p + _W]
                        p += _W + _W
                        s5 = xa * flat[p] + xb * flat[p + _W]
                        p += _W + _W
                        s6 = xc * flat[p] + xd * flat[p + _W]
                        p += _W + _W
                        s7 = xe * flat[p] + xf * flat[p + _W]
                        acc[j] += ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
                out[:] = acc
