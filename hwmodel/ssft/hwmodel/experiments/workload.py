"""The program of a linear layer's training step, under a mask."""

from __future__ import annotations

from ssft.hwmodel.config import Machine
from ssft.hwmodel.experiments.builder import Piece, ProgramBuilder
from ssft.hwmodel.experiments.layer import LinearLayer, Mask, Selection, select
from ssft.hwmodel.experiments.products import (
    BF16,
    F32,
    INDEX,
    GradientBlock,
    Stored,
    activation_product,
    block_budget,
    cut,
    even,
    load_rows,
    weight_gradient,
)
from ssft.hwmodel.experiments.update import Tags, Tensors, update_block
from ssft.hwmodel.isa import DramBuffer, Program

GATHER, SCATTER, LISTS, STATES = "gather", "scatter", "lists", "states"
"""Kinds of source operations, by which the traffic of the update is told apart."""


def layer_program(layer: LinearLayer, mask: Mask, density: float, machine: Machine) -> Program:
    """The commands of one step.

    Buffers, as arguments in this order: ``x``, ``dy``, ``w``, ``y``, ``dx``, ``m``, ``v`` and, if
    something is selected, ``lists``. For rows and columns that is the list of
    those; for single elements the list of each tile of the update, counted from the tile's begin.

    Raises MachineError if the scratchpad is too small even for the smallest tiles.
    """
    builder = ProgramBuilder(machine)
    selection = select(layer, mask, density)
    tokens, out, into = layer.tokens, layer.outputs, layer.inputs
    x = builder.buffer("x", (tokens, into), "bf16", "activation")
    dy = builder.buffer("dy", (tokens, out), "bf16", "gradient")
    stored = (into, out) if selection.transposed else (out, into)
    weight = Stored(builder.buffer("w", stored, "f32", "weight"), *stored)
    y = builder.buffer("y", (tokens, out), "bf16", "activation")
    dx = builder.buffer("dx", (tokens, into), "bf16", "gradient")
    tag = builder.operation("forward", "product", "forward", layer.macs)
    activation_product(builder, tag, x, weight, y, along_rows=not selection.transposed)
    tag = builder.operation("input gradient", "product", "input_gradient", layer.macs)
    activation_product(builder, tag, dy, weight, dx, along_rows=selection.transposed)
    sides = (x, dy) if selection.transposed else (dy, x)
    _train(builder, layer, selection, weight, sides)
    return builder.program


def _train(
    builder: ProgramBuilder,
    layer: LinearLayer,
    selection: Selection,
    weight: Stored,
    sides: tuple[DramBuffer, DramBuffer],
) -> None:
    """The weight's gradient, block by block, each followed by its update."""
    rows, columns = selection.rows, selection.columns
    macs = rows * columns * layer.tokens
    tag = builder.operation(
        "weight gradient", "product", "weight_gradient", macs, layer.macs - macs
    )
    tags = _tags(builder)
    last = tags.span[1]
    tensors = _tensors(builder, selection, weight)
    index = _load_list(builder, tags.lists, selection, tensors, (tag, last))
    budget = block_budget(builder, sum(side.shape[1] for side in sides) * BF16)
    most = max(1, budget // (columns * F32))
    # A list of rows is cut anywhere; a block of all rows where tiles of lanes end.
    size = even(rows, most, granule=1 if selection.listed == "rows" else 16)
    mark = builder.mark()
    for first, count in cut(rows, size):
        piece = builder.take("gradient", "gradient", count * columns * F32, (tag, last))
        block = GradientBlock(first, count, piece)
        weight_gradient(builder, tag, block, *sides, (rows, columns), (index, selection.listed))
        update_block(builder, tags, selection, tensors, block, index)
        builder.release(mark)


def _tags(builder: ProgramBuilder) -> Tags:
    kinds = {
        "lists of the mask": LISTS,
        "gather weight": GATHER,
        "load moments": STATES,
        "AdamW": "update",
        "scatter weight": SCATTER,
        "store moments": STATES,
    }
    return Tags(*(builder.operation(name, kind, "update") for name, kind in kinds.items()))


def _tensors(builder: ProgramBuilder, selection: Selection, weight: Stored) -> Tensors:
    whole = selection.mask == "unstructured"
    shape = (weight.rows, weight.columns) if whole else (selection.elements,)
    states = tuple(builder.buffer(name, shape, "f32", "optimizer") for name in "mv")
    entries = 0
    if selection.listed:
        entries = selection.rows if selection.listed == "rows" else selection.columns
    elif selection.unstructured:
        entries = selection.elements
    lists = builder.buffer("lists", (entries,), "i64", "index") if entries else None
    return Tensors(weight, (states[0], states[1]), lists)


def _load_list(
    builder: ProgramBuilder, tag: int, selection: Selection, tensors: Tensors, span: tuple[int, int]
) -> Piece | None:
    """The list of rows or columns, which stays in the scratchpad."""
    if selection.listed is None or tensors.lists is None:
        return None
    entries = tensors.lists.shape[0]
    piece = builder.take("list", "index", entries * INDEX, span)
    load_rows(builder, tag, tensors.lists, 0, entries, piece)
    return piece
