"""The rule for structured ``linalg`` operations: their indexing maps are the whole story.

A dimension indexed by loop ``i`` alone is the axis of loop ``i``. The body may break that: it may
ask for the loop's position, look a tensor up by value, or reduce in an order that matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ssft.compiler.analysis.axes.builder import AxisBuilder
from ssft.compiler.analysis.axes.positions import BodyPositions, Range, Single
from ssft.dialects._mlir import ir, linalg_indexing_maps

_COMMUTATIVE = frozenset(
    {"arith.addf", "arith.addi", "arith.mulf", "arith.muli"}
    | {f"arith.{which}{kind}" for which in ("max", "min") for kind in ("imumf", "numf", "si", "ui")}
    | {"arith.andi", "arith.ori", "arith.xori"}
)
"""Operations that fold a reduction in any order, up to rounding."""


@dataclass(frozen=True)
class Compound:
    """A dimension indexed by an expression of several loops, e.g. of a convolution's window."""

    loops: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A dimension of which one index is read."""

    index: int


Index = int | Compound | Constant


@dataclass
class Loops:
    """The loops of one operation: their nodes and sizes, and which of them values vary along."""

    nodes: dict[int, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    varying: set[int] = field(default_factory=set)
    pinned: dict[int, str] = field(default_factory=dict)

    def pin(self, loops: tuple[int, ...], reason: str) -> None:
        """Marks `loops` as pinned, which takes effect once the maps have been read."""
        for loop in loops:
            self.varying.add(loop)
            self.pinned.setdefault(loop, reason)


class LinalgRule:
    """Applies indexing maps; parsed maps are kept, as a step has few different ones."""

    def __init__(self, builder: AxisBuilder) -> None:
        self._builder = builder
        self._maps: dict[ir.Attribute, list[list[Index]]] = {}

    def applies(self, op: ir.Operation) -> bool:
        """True for operations with indexing maps."""
        return op.name == "linalg.generic" or (
            op.name.startswith("linalg.") and linalg_indexing_maps(op) is not None
        )

    def visit(self, op: ir.Operation) -> None:
        """Unifies what the maps identify and defines the results."""
        builder, forest = self._builder, self._builder.forest
        maps, operands = self._indexing_maps(op), list(op.operands)
        loops = Loops()
        body = self._positions(op, operands, maps)
        arguments = op.regions[0].blocks[0].arguments
        for k, (value, indices) in enumerate(zip(operands, maps, strict=True)):
            silent = builder.position(value) is not None and body.only_indexes(arguments[k])
            self._read(value, indices, loops, only_sizes=silent)
        for inner in _nested(op):
            self._body_op(inner, loops, body)
        for loop in loops.varying & loops.sizes.keys() - loops.nodes.keys():
            loops.nodes[loop] = forest.new(loops.sizes[loop])
        for loop, reason in loops.pinned.items():
            if loop in loops.nodes:
                forest.pin(loops.nodes[loop], reason)
        results = list(op.results)
        outputs = maps[len(maps) - len(results) :]
        self._reductions(op, {i for m in outputs for i in m if isinstance(i, int)}, loops)
        for value, indices in zip(results, outputs, strict=True):
            nodes = [self._written(i, loops, value, d) for d, i in enumerate(indices)]
            builder.define(value, nodes)
        self._result_positions(op, outputs, loops, body)

    def _positions(
        self, op: ir.Operation, operands: list[ir.Value], maps: list[list[Index]]
    ) -> BodyPositions:
        """What the body's arguments are, where inputs are positions.

        An output's argument is an accumulator, so it is not what the operand was.
        """
        known: dict[int, Range | Single] = {}
        inputs = len(operands) - len(op.results)
        for k, (value, indices) in enumerate(zip(operands[:inputs], maps[:inputs], strict=True)):
            position = self._builder.position(value)
            if isinstance(position, Single):
                known[k] = position
            elif isinstance(position, Range):
                loop = indices[position.axis]
                if isinstance(loop, int):
                    known[k] = Range(loop, position.start)
        return BodyPositions(op.regions[0].blocks[0], known)

    def _result_positions(
        self, op: ir.Operation, outputs: list[list[Index]], loops: Loops, body: BodyPositions
    ) -> None:
        """Records results that are positions: an arange, or one that is broadcast or wrapped."""
        if set(loops.sizes) - {i for m in outputs for i in m if isinstance(i, int)}:
            return
        block = op.regions[0].blocks[0]
        yielded = block.operations[len(block.operations) - 1].operation.operands
        for value, source, indices in zip(op.results, yielded, outputs, strict=True):
            if not isinstance(source.type, ir.IntegerType):
                continue
            position = body.resolve(source)
            if isinstance(position, Range):
                if position.axis in indices:
                    dim = indices.index(position.axis)
                    self._builder.set_position(value, Range(dim, position.start))
            elif position is not None:
                self._builder.set_position(value, position)

    def _indexing_maps(self, op: ir.Operation) -> list[list[Index]]:
        attribute = (
            op.attributes["indexing_maps"]
            if "indexing_maps" in op.attributes
            else linalg_indexing_maps(op)
        )
        if attribute not in self._maps:
            self._maps[attribute] = [
                [_index(expression) for expression in ir.AffineMapAttr(m).value.results]
                for m in ir.ArrayAttr(attribute)
            ]
        return self._maps[attribute]

    def _read(
        self, value: ir.Value, indices: list[Index], loops: Loops, *, only_sizes: bool
    ) -> None:
        builder, forest = self._builder, self._builder.forest
        nodes = builder.dimensions(value)
        for node, alike, index in zip(nodes, builder.alike(value), indices, strict=True):
            size = forest.size(node)
            if isinstance(index, int):
                loops.sizes[index] = size
                if not alike and not only_sizes:
                    loops.varying.add(index)
                    forest.unify(loops.nodes.setdefault(index, node), node)
            elif isinstance(index, Compound):
                forest.pin(node, "computed index")
                loops.pin(index.loops, "computed index")
            elif size > 1:
                builder.slice(node, index.index, 1)

    def _written(self, index: Index, loops: Loops, value: ir.Value, dim: int) -> int | None:
        if isinstance(index, int):
            if index not in loops.varying:
                return None
            return loops.nodes[index]
        node = self._builder.forest.new((self._builder.shape(value) or ())[dim])
        self._builder.forest.pin(node, "computed index")
        return node

    def _body_op(self, op: ir.Operation, loops: Loops, body: BodyPositions) -> None:
        if op.name == "linalg.index":
            loop = ir.IntegerAttr(op.attributes["dim"]).value
            loops.varying.add(loop)
            if not body.only_indexes(op.results[0]):
                loops.pin((loop,), "position used")
        elif op.name == "tensor.extract":
            self._lookup(op, loops, body)
        else:
            for operand in op.operands:
                self._builder.pin(operand, f"used in a body by {op.name}")

    def _lookup(self, op: ir.Operation, loops: Loops, body: BodyPositions) -> None:
        """An element read at an index: a loop's own index is the identity, not a position."""
        builder, forest = self._builder, self._builder.forest
        source, *indices = op.operands
        for node, value in zip(builder.dimensions(source), indices, strict=True):
            position = body.resolve(value)
            loop = position.axis if isinstance(position, Range) else None
            count = 1 if loop is None else loops.sizes.get(loop, 0)
            part = builder.window(node, position, count)
            if part is None:
                forest.pin(node, "looked up by value")
                loops.pin(() if loop is None else (loop,), "looked up out of range")
            elif loop is not None:
                loops.varying.add(loop)
                forest.unify(loops.nodes.setdefault(loop, part), part)

    def _reductions(self, op: ir.Operation, parallel: set[int], loops: Loops) -> None:
        forest = self._builder.forest
        reduced = [node for loop, node in loops.nodes.items() if loop not in parallel]
        if not reduced:
            return
        ordered = not _combines_in_any_order(op)
        for node in reduced:
            if ordered:
                forest.pin(node, "reduced in an order that matters")
            else:
                forest.note(node, "reassociates a sum")


def _index(expression: ir.AffineExpr) -> Index:
    if isinstance(expression, ir.AffineDimExpr):
        return ir.AffineDimExpr(expression).position
    if isinstance(expression, ir.AffineConstantExpr):
        return Constant(ir.AffineConstantExpr(expression).value)
    return Compound(tuple(sorted(set(_loops_in(expression)))))


def _loops_in(expression: ir.AffineExpr) -> Iterator[int]:
    if isinstance(expression, ir.AffineDimExpr):
        yield ir.AffineDimExpr(expression).position
    elif isinstance(expression, ir.AffineBinaryExpr):
        binary = ir.AffineBinaryExpr(expression)
        yield from _loops_in(binary.lhs)
        yield from _loops_in(binary.rhs)


def _nested(op: ir.Operation) -> Iterator[ir.Operation]:
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield inner.operation
                yield from _nested(inner.operation)


def _combines_in_any_order(op: ir.Operation) -> bool:
    """True where every output is folded by one commutative, associative operation."""
    block = op.regions[0].blocks[0]
    count = len(op.results)
    accumulators = list(block.arguments)[-count:]
    terminator = block.operations[len(block.operations) - 1].operation
    for accumulator, value in zip(accumulators, terminator.operands, strict=True):
        if isinstance(value.owner, ir.Block):
            return False
        folding = value.owner.operation
        uses = [use.owner.operation for use in accumulator.uses]
        if folding.name not in _COMMUTATIVE or len(uses) != 1 or uses[0] != folding:
            return False
    return True
