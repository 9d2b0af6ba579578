"""Values that are positions: an arange, or one and the same index everywhere.

Advanced indexing is lowered to lookups at indices that are *values*, most of which are an arange or
a constant in disguise, wrapped for negative numbers. Looking a dimension up at an arange is the
identity (or a slice), and at a constant it is a slice of one; only other values pin it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssft.dialects._mlir import ir

CONSTANT_LIMIT = 1 << 16
"""Constants with more elements are not inspected."""

_CASTS = frozenset({"arith.index_cast", "arith.extsi"})
_CHAIN = _CASTS | {"arith.addi", "arith.select", "arith.cmpi"}
_SIGNED_LESS = 2


@dataclass(frozen=True)
class Range:
    """Counts up along `axis` from `start`: a dimension of a tensor, or a loop of an operation."""

    axis: int
    start: int = 0


@dataclass(frozen=True)
class Single:
    """The same integer everywhere."""

    value: int


Position = Range | Single


def constant_position(attribute: ir.Attribute, shape: Sequence[int]) -> Position | None:
    """Returns what the elements of an integer constant of `shape` are, if they are positions."""
    if not isinstance(attribute, ir.DenseIntElementsAttr):
        return None
    elements = ir.DenseIntElementsAttr(attribute)
    if not _is_number(elements.type.element_type):
        return None
    long = [dim for dim, size in enumerate(shape) if size != 1]
    if elements.is_splat or not long:
        return Single(int(elements[0])) if len(elements) else None
    if len(long) > 1 or len(elements) > CONSTANT_LIMIT:
        return None
    values = [int(value) for value in elements]
    start = values[0]
    return Range(long[0], start) if values == list(range(start, start + len(values))) else None


def _is_number(kind: ir.Type) -> bool:
    """True for index and integer types, except truth values."""
    if isinstance(kind, ir.IntegerType):
        return ir.IntegerType(kind).width > 1
    return isinstance(kind, ir.IndexType)


def regroup(
    position: Position | None,
    groups: Sequence[Sequence[int]],
    shape: Sequence[int],
    *,
    collapse: bool,
) -> Position | None:
    """Returns the position after a reshape; `groups` are dimensions of the finer `shape`."""
    if not isinstance(position, Range):
        return position
    if collapse:
        group = next(g for g, dims in enumerate(groups) if position.axis in dims)
        alone = [d for d in groups[group] if shape[d] != 1] == [position.axis]
        return Range(group, position.start) if alone else None
    long = [d for d in groups[position.axis] if shape[d] != 1]
    return Range(long[0], position.start) if len(long) == 1 else None


class BodyPositions:
    """What the integers in the body of one structured operation are, in terms of its loops."""

    def __init__(self, block: ir.Block, arguments: Mapping[int, Position]) -> None:
        """`arguments` holds what is known of the block's arguments, with loops as axes."""
        self._block = block
        self._arguments = arguments

    def resolve(self, value: ir.Value) -> Position | None:
        """Returns what `value` is, or None where it is not known to be a position."""
        if isinstance(value.owner, ir.Block):
            if value.owner != self._block:
                return None
            return self._arguments.get(ir.BlockArgument(value).arg_number)
        op = value.owner.operation
        if op.name == "linalg.index":
            return Range(ir.IntegerAttr(op.attributes["dim"]).value)
        if op.name == "arith.constant":
            if not _is_number(value.type):
                return None
            return Single(ir.IntegerAttr(op.attributes["value"]).value)
        if op.name in _CASTS:
            return self.resolve(op.operands[0])
        if op.name == "arith.addi":
            return self._add(*op.operands)
        if op.name == "arith.select":
            return self._wrapped(*op.operands)
        return None

    def only_indexes(self, value: ir.Value) -> bool:
        """True where `value` serves nothing but lookups at known positions (and assertions)."""
        for use in value.uses:
            op = use.owner.operation
            if op.name == "tensor.extract":
                if self.resolve(value) is None:
                    return False
            elif op.name in _CHAIN:
                if not self.only_indexes(op.results[0]):
                    return False
            elif op.name != "cf.assert":
                return False
        return True

    def _add(self, left: ir.Value, right: ir.Value) -> Position | None:
        a, b = self.resolve(left), self.resolve(right)
        if isinstance(a, Single) and isinstance(b, Single):
            return Single(a.value + b.value)
        if isinstance(a, Single):
            a, b = b, a
        if isinstance(a, Range) and isinstance(b, Single):
            return Range(a.axis, a.start + b.value)
        return None

    def _wrapped(self, condition: ir.Value, wrapped: ir.Value, plain: ir.Value) -> Position | None:
        """``x < 0 ? x + n : x``, the meaning of a negative index."""
        position = self.resolve(plain)
        if isinstance(condition.owner, ir.Block):
            return None
        test = condition.owner.operation
        if test.name != "arith.cmpi" or test.operands[0] != plain:
            return None
        if ir.IntegerAttr(test.attributes["predicate"]).value != _SIGNED_LESS:
            return None
        if self.resolve(test.operands[1]) != Single(0):
            return None
        if isinstance(position, Range) and position.start >= 0:
            return position
        if isinstance(position, Single):
            return position if position.value >= 0 else self.resolve(wrapped)
        return None
