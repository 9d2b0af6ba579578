"""The three matrix products of a linear layer, as commands.

A block of weights, or of the weight's gradient, stays in the scratchpad while the tokens stream by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ssft.hwmodel.experiments.builder import Piece, ProgramBuilder
from ssft.hwmodel.isa import NO_LIST, Contraction, Dim, DramBuffer, Gemm, Load2D, Store2D
from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.timing.tensor import gemm_cycles, lane_accumulators

BF16, F32, INDEX = 2, 4, 8
BLOCK_SHARE = 0.65
"""Part of the scratchpad that the block that stays may take."""
STREAM_SHARE = 0.8
"""Part of what is left that the streamed tiles may take."""
CHUNKS = 4
"""Pieces in which a block of weights is loaded, so that work starts with the first."""
TOKEN_TILES = 8
LEAST_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight matrix in DRAM, f32: `rows` x `columns` as stored."""

    buffer: DramBuffer
    rows: int
    columns: int


def cut(total: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, size) of pieces of at most `size`."""
    for start in range(0, total, size):
        yield start, min(size, total - start)


def even(total: int, most: int, granule: int = 16) -> int:
    """The size of equal pieces of at most `most`, a multiple of `granule`."""
    most = max(granule, most // granule * granule)
    parts = -(-total // most)
    size = -(-total // parts)
    return min(-(-size // granule) * granule, total)


def block_budget(builder: ProgramBuilder, bytes_per_token: int) -> int:
    """Bytes for what stays, so that at least the smallest tiles of tokens have room beside it."""
    share = int(builder.machine.scratchpad.bytes * BLOCK_SHARE)
    left = int(builder.free_bytes * 0.95) - 2 * LEAST_TOKENS * bytes_per_token
    return max(1, min(share, left))


def streamed_tile(free: int, tokens: int, bytes_per_token: int) -> int:
    """Tokens of a tile of which two fit, and of which there are several."""
    most = int(free * STREAM_SHARE) // (2 * bytes_per_token)
    return even(tokens, max(LEAST_TOKENS, min(most, -(-tokens // TOKEN_TILES))))


def lane_tile(builder: ProgramBuilder, m: int, n: int, k: int) -> tuple[int, int]:
    """The block of results of a lane that takes the fewest cycles."""
    tensor = builder.machine.tensor
    if tensor.engine != "dot_lanes":
        return (1, 1)
    most = lane_accumulators(tensor)
    tiles = [(a, b) for a in range(1, most + 1) for b in range(1, most // a + 1)]
    return min(tiles, key=lambda t: (gemm_cycles(tensor, 1, m, n, k, t), abs(t[0] - t[1])))


def activation_product(
    builder: ProgramBuilder,
    tag: int,
    source: DramBuffer,
    weight: Stored,
    target: DramBuffer,
    *,
    along_rows: bool,
) -> None:
    """``target[t, n] = sum_k source[t, k] W``; `along_rows`: n are the weight's rows, k columns."""
    tokens, inner = source.shape
    outer = target.shape[1]
    start = builder.mark()
    budget = block_budget(builder, (inner + outer) * BF16)
    block = even(outer, min(budget // (inner * F32), outer))
    for first, size in cut(outer, block):
        chunks = _chunks(builder, tag, weight, first, size, inner, along_rows)
        tile = streamed_tile(builder.free_bytes, tokens, (inner + size) * BF16)
        ins = builder.ring("in", source.purpose, tile * inner * BF16, (tag, tag))
        outs = builder.ring("out", target.purpose, tile * size * BF16, (tag, tag))
        for number, (token, count) in enumerate(cut(tokens, tile)):
            a, c = ins[number % 2], outs[number % 2]
            load_rows(builder, tag, source, token, count, a)
            for pending, chunk, offset, width in chunks:
                if pending is not None and number == 0:
                    builder.add(tag, pending, [], [chunk])
                # A piece of W is [width, inner] along rows, [inner, width] otherwise.
                b = (width, inner, 1) if along_rows else (width, 1, width)
                shape = _product((count, inner), b, size, builder)
                command = Gemm(a=a.address, b=chunk.address, c=c.address + offset * BF16,
                               shape=builder.contraction(shape))  # fmt: skip
                builder.add(tag, command, [a, chunk], [c])
            store = Store2D(dram=target.address + (token * outer + first) * BF16, spm=c.address,
                            rows=count, row_bytes=size * BF16, pitch=outer * BF16)  # fmt: skip
            builder.add(tag, store, [c], [])
        builder.release(start)


def _chunks(
    builder: ProgramBuilder, tag: int, weight: Stored, first: int, size: int, inner: int, rows: bool
) -> list[tuple[Load2D | None, Piece, int, int]]:
    """The pieces of a block of weights: how to load each, where, first result, results."""
    found: list[tuple[Load2D | None, Piece, int, int]] = []
    pitch = weight.columns * F32
    for offset, width in cut(size, even(size, -(-size // CHUNKS))):
        piece = builder.take("weights", "weight", width * inner * F32, (tag, tag))
        at = (first + offset) * (pitch if rows else F32)
        run, count = (pitch, width) if rows else (width * F32, inner)
        load = Load2D(dram=weight.buffer.address + at, spm=piece.address, rows=count,
                      row_bytes=run, pitch=pitch)  # fmt: skip
        found.append((load, piece, offset, width))
    return found


def _product(
    a: tuple[int, int], b: tuple[int, int, int], pitch: int, builder: ProgramBuilder
) -> Contraction:
    """[m, k] bf16 by b = (n, stride of n, stride of k) f32 to [m, n] bf16, rows `pitch` apart."""
    (m, k), (n, b_n, b_k) = a, b
    dims = (Dim("m", m, k, 0, pitch), Dim("n", n, 0, b_n, 1), Dim("k", k, 1, b_k, 0))
    return Contraction(dims, "bf16", "f32", "bf16", lane_tile=lane_tile(builder, m, n, k))


def load_rows(
    builder: ProgramBuilder, tag: int, source: DramBuffer, first: int, count: int, to: Piece
) -> None:
    """Loads whole rows of a packed matrix."""
    row = source.bytes // source.shape[0]
    load = Load2D(dram=source.address + first * row, spm=to.address, rows=count,
                  row_bytes=row, pitch=row)  # fmt: skip
    builder.add(tag, load, [], [to])


@dataclass(frozen=True, slots=True)
class GradientBlock:
    """Rows `first` to ``first + size`` of the weight's gradient, f32, in the scratchpad."""

    first: int
    size: int
    piece: Piece


def weight_gradient(
    builder: ProgramBuilder,
    tag: int,
    block: GradientBlock,
    rows: DramBuffer,
    columns: DramBuffer,
    extents: tuple[int, int],
    lists: tuple[Piece | None, str | None],
) -> None:
    """Sums ``rows[t, r] columns[t, c]`` over tokens into a block of ``[r, c]``.

    `rows` and `columns` are activations ``[t, width]``; `lists` is a list in the scratchpad and
    the dimension that it selects from: ``rows``, ``columns`` or None.
    """
    tokens, width_a = rows.shape
    width_b = columns.shape[1]
    index, listed = lists
    mark = builder.mark()
    tile = streamed_tile(builder.free_bytes, tokens, (width_a + width_b) * BF16)
    lefts = builder.ring("left", rows.purpose, tile * width_a * BF16, (tag, tag))
    rights = builder.ring("right", columns.purpose, tile * width_b * BF16, (tag, tag))
    indexed = {"rows": 0, "columns": 1, None: None}[listed]
    for number, (token, count) in enumerate(cut(tokens, tile)):
        a, b = lefts[number % 2], rights[number % 2]
        load_rows(builder, tag, rows, token, count, a)
        load_rows(builder, tag, columns, token, count, b)
        m, n = block.size, extents[1]
        dims = (Dim("m", m, 1, 0, n), Dim("n", n, 0, 1, 1), Dim("k", count, width_a, width_b, 0))
        types: tuple[DType, DType, DType] = ("bf16", "bf16", "f32")
        shape = Contraction(dims, *types, lane_tile=lane_tile(builder, m, n, count),
                            indexed=indexed)  # fmt: skip
        shift = block.first * INDEX if listed == "rows" else 0
        command = Gemm(
            a=a.address + (0 if listed == "rows" else block.first * BF16),
            b=b.address,
            c=block.piece.address,
            shape=builder.contraction(shape),
            index=NO_LIST if index is None or listed is None else index.address + shift,
            accumulate=int(number > 0),
        )
        builder.add(tag, command, [a, b, *([index] if index else [])], [block.piece])
    builder.release(mark)
