"""The update of a linear layer: gather what trains, AdamW, scatter it."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.hwmodel.experiments.builder import Piece, ProgramBuilder
from ssft.hwmodel.experiments.layer import MAX_LIST, Selection
from ssft.hwmodel.experiments.optimizer import adamw, pick
from ssft.hwmodel.experiments.products import F32, INDEX, GradientBlock, Stored, cut, even
from ssft.hwmodel.isa import (
    AdamRows,
    Command,
    DramBuffer,
    GatherColumns,
    GatherRows,
    Load2D,
    ScatterColumns,
    ScatterRows,
    Store2D,
    Vector,
)

TILES = 8
"""A block is updated in at least that many tiles, so that transfers and work overlap."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The source operations of the update's commands."""

    lists: int
    gather: int
    states_in: int
    adamw: int
    scatter: int
    states_out: int

    def inward(self, which: int) -> int:
        """Of the load of tensor `which`: 0 is the weight."""
        return self.states_in if which else self.gather

    def outward(self, which: int) -> int:
        """Of the store of tensor `which`."""
        return self.states_out if which else self.scatter

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last of them."""
        return self.lists, self.states_out


@dataclass(frozen=True, slots=True)
class Tensors:
    """What the update works on. `states` are both moments; `lists` is the list of what trains."""

    weight: Stored
    states: tuple[DramBuffer, DramBuffer]
    lists: DramBuffer | None


def update_block(
    builder: ProgramBuilder,
    tags: Tags,
    selection: Selection,
    tensors: Tensors,
    block: GradientBlock,
    index: Piece | None,
) -> None:
    """Updates the elements whose gradient is in `block`.

    `index` is the list of rows or columns in the scratchpad; lists of elements are loaded here.
    """
    mark = builder.mark()
    per_row = selection.elements // selection.rows
    rows = _tile_rows(builder, selection, block, per_row)
    size = rows * per_row * F32
    rings = [
        builder.ring("weight", "weight", size, tags.span),
        builder.ring("first moment", "optimizer", size, tags.span),
        builder.ring("second moment", "optimizer", size, tags.span),
    ]
    picker = _Picker(builder, tags, selection, tensors, rows) if selection.unstructured else None
    for number, (start, count) in enumerate(cut(block.size, rows)):
        operands = [ring[number % 2] for ring in rings]
        gradient, where = block.piece, block.piece.address + start * selection.columns * F32
        chosen = index
        if picker is not None:
            chosen, gradient = picker.pick(number, block, start, count)
            where = gradient.address
        lists = [chosen] if chosen is not None else []
        accesses = [
            _access(selection, tensors, which, (block.first + start, count), piece, chosen)
            for which, piece in enumerate(operands)
        ]
        for which, (load, _) in enumerate(accesses):
            builder.add(tags.inward(which), load, lists, [operands[which]])
        addresses = [operands[0].address, where, *(piece.address for piece in operands[1:])]
        command = AdamRows(program=builder.micro_program(adamw(count * per_row)),
                           arguments=builder.arguments(addresses))  # fmt: skip
        builder.add(tags.adamw, command, [gradient, *operands], operands)
        for which, (_, store) in enumerate(accesses):
            builder.add(tags.outward(which), store, [*lists, operands[which]], [])
    builder.release(mark)


class _Picker:
    """Picks the gradients of selected elements out of a block of all."""

    def __init__(
        self, builder: ProgramBuilder, tags: Tags, selection: Selection, tensors: Tensors, rows: int
    ) -> None:
        self.builder, self.tags, self.selection = builder, tags, selection
        self.per_row = selection.elements // selection.rows
        assert tensors.lists is not None
        self.lists = tensors.lists
        elements = rows * self.per_row
        self.indices = builder.ring("elements", "index", elements * INDEX, tags.span)
        self.picked = builder.ring("picked", "gradient", elements * F32, tags.span)

    def pick(
        self, number: int, block: GradientBlock, start: int, count: int
    ) -> tuple[Piece, Piece]:
        """The list of a tile's elements, and their gradients."""
        index, picked = self.indices[number % 2], self.picked[number % 2]
        first, elements = (block.first + start) * self.per_row, count * self.per_row
        load = Load2D(dram=self.lists.address + first * INDEX, spm=index.address, rows=1,
                      row_bytes=elements * INDEX, pitch=elements * INDEX)  # fmt: skip
        self.builder.add(self.tags.lists, load, [], [index])
        columns = self.selection.columns
        gradient = block.piece.address + start * columns * F32
        command = Vector(
            program=self.builder.micro_program(pick(elements, count * columns)),
            arguments=self.builder.arguments([gradient, index.address, picked.address]),
        )
        self.builder.add(self.tags.adamw, command, [block.piece, index], [picked])
        return index, picked


def _tile_rows(
    builder: ProgramBuilder, selection: Selection, block: GradientBlock, per_row: int
) -> int:
    """Rows of a tile of the update."""
    row = 3 * per_row * F32 + (per_row * (INDEX + F32) if selection.unstructured else 0)
    most = min(int(builder.free_bytes * 0.9) // (2 * row), -(-block.size // TILES))
    if selection.unstructured:
        most = min(most, MAX_LIST // per_row)
    return even(block.size, max(1, most), granule=1)


def _access(
    selection: Selection,
    tensors: Tensors,
    which: int,
    rows: tuple[int, int],
    piece: Piece,
    index: Piece | None,
) -> tuple[Command, Command]:
    """How to load and store a tile of tensor `which` (0: the weight, 1 and 2: the moments)."""
    first, count = rows
    per_row = selection.elements // selection.rows
    weight = tensors.weight
    pitch = weight.columns * F32
    dense = which == 0 or selection.mask == "unstructured"
    base = (weight.buffer if which == 0 else tensors.states[which - 1]).address
    if not dense or index is None:
        row = per_row * F32
        where = {"dram": base + first * row, "spm": piece.address, "rows": 1,
                 "row_bytes": count * row, "pitch": count * row}  # fmt: skip
        return Load2D(**where), Store2D(**where)
    if selection.mask in ("rows", "columns_transposed"):
        where = {"dram": base, "spm": piece.address, "index": index.address + first * INDEX,
                 "count": count, "row_bytes": pitch, "pitch": pitch}  # fmt: skip
        return GatherRows(**where), ScatterRows(**where)
    # Elements of several rows are columns of one long row.
    flat = selection.unstructured
    where = {"dram": base + first * pitch, "spm": piece.address, "index": index.address,
             "rows": 1 if flat else count, "count": count * per_row if flat else per_row,
             "element_bytes": F32, "pitch": count * pitch if flat else pitch}  # fmt: skip
    return GatherColumns(**where), ScatterColumns(**where)
