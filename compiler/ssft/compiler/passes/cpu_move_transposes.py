"""``cpu-move-transposes``: bring transposes next to the matrix products that can do them for free.

Attention scales its keys after it has transposed them, and the gradient of the keys is scaled
before it is transposed back. An operation on the elements of one array does not care for their
order, so a transpose in front of it can follow it, and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction, indexing_maps
from ssft.compiler.analysis.elementwise import is_elementwise
from ssft.compiler.analysis.forms import as_projection
from ssft.compiler.analysis.step import owner
from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuMoveTransposesPass(Pass):
    """Exchanges transposes and element-wise operations between them and batched contractions."""

    argument: ClassVar[str] = "cpu-move-transposes"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites what leads to and from each batched contraction in `module`."""
        found: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            contraction = as_contraction(op) if op.name == "linalg.generic" else None
            if contraction is not None and contraction.batch:
                found.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            for contraction in found:
                for number in (0, 1):
                    while _sink(contraction.operands[number]):
                        context.statistics["transposes moved"] += 1
                while _hoist(contraction.results[0]):
                    context.statistics["transposes moved"] += 1


def _sink(value: ir.Value) -> bool:
    """Moves the nearest transpose on the way to `value` one operation closer to it."""
    reshape = owner(value)
    if reshape is not None and reshape.name == "tensor.collapse_shape":
        value = reshape.operands[0]
    lower = owner(value)
    number = _only_array(lower)
    while lower is not None and number is not None:
        upper = owner(lower.operands[number])
        if _is_transpose(upper) and upper is not None:
            _exchange(lower, number, upper)
            return True
        lower, number = upper, _only_array(upper)
    return False


def _hoist(value: ir.Value) -> bool:
    """Moves the nearest transpose behind `value` one operation closer to it."""
    user = _only_user(value)
    if user is not None and user.name == "tensor.expand_shape":
        user = _only_user(user.results[0])
    while user is not None and _only_array(user) is not None:
        follower = _only_user(user.results[0])
        if _is_transpose(follower) and follower is not None:
            _exchange_back(user, follower)
            return True
        user = follower
    return False


def _only_user(value: ir.Value) -> ir.Operation | None:
    users = [use.owner.operation for use in value.uses]
    return users[0] if len(users) == 1 else None


def _only_array(op: ir.Operation | None) -> int | None:
    """The number of the only operand of an element-wise operation that is read element by element.

    All others are scalars. None if there are several, or if other operations use the result, too.
    """
    if op is None or not is_elementwise(op) or as_projection(op) is not None:
        return None
    if _only_user(op.results[0]) is None or _reads_output(op):
        return None
    maps = indexing_maps(op) or []
    arrays = [number for number, loops in enumerate(maps[:-1]) if loops]
    return arrays[0] if len(arrays) == 1 and maps[arrays[0]] == maps[-1] else None


def _reads_output(op: ir.Operation) -> bool:
    block = op.regions[0].blocks[0]
    return len(list(block.arguments[len(block.arguments) - 1].uses)) > 0


def _is_transpose(op: ir.Operation | None) -> bool:
    projection = as_projection(op)
    return (
        op is not None
        and projection is not None
        and len(projection) == len(op.results[0].type.shape)
        and projection != sorted(projection)
    )


def _exchange(lower: ir.Operation, number: int, upper: ir.Operation) -> None:
    """``lower(upper(x))`` becomes ``upper(lower(x))``."""
    source, result = upper.operands[0], lower.results[0]
    with ir.InsertionPoint(lower), lower.location:
        first = _on(lower, number, source)
        _then(upper, first, result)
    lower.erase()


def _exchange_back(upper: ir.Operation, lower: ir.Operation) -> None:
    """``lower(upper(x))`` becomes ``upper(lower(x))``, where `lower` is the transpose."""
    number = _only_array(upper)
    assert number is not None
    source, result = upper.operands[number], lower.results[0]
    with ir.InsertionPoint(lower), lower.location:
        element = ir.RankedTensorType(source.type).element_type
        type_ = ir.RankedTensorType.get(list(result.type.shape), element)
        transposed = _retyped(lower, source, type_)
        last = _on(upper, number, transposed)
    result.replace_all_uses_with(last)
    lower.erase()
    upper.erase()


def _on(op: ir.Operation, number: int, array: ir.Value) -> ir.Value:
    """A copy of the element-wise `op` on `array`, of whatever shape."""
    element = ir.RankedTensorType(op.results[0].type).element_type
    type_ = ir.RankedTensorType.get(list(array.type.shape), element)
    destination = build.empty(type_)
    copy = op.clone()
    copy.operands[number] = array
    copy.operands[len(copy.operands) - 1] = destination
    copy.results[0].set_type(type_)
    return copy.results[0]


def _then(transpose: ir.Operation, source: ir.Value, result: ir.Value) -> None:
    """Uses the transpose of `source` instead of `result`."""
    transposed = _retyped(transpose, source, ir.RankedTensorType(result.type))
    result.replace_all_uses_with(transposed)


def _retyped(transpose: ir.Operation, source: ir.Value, type_: ir.RankedTensorType) -> ir.Value:
    """A copy of `transpose` that reads `source` and makes a tensor of `type_`."""
    order = as_projection(transpose) or []
    maps = [
        ir.AffineMap.get(len(order), 0, [ir.AffineDimExpr.get(d) for d in dimensions])
        for dimensions in (order, range(len(order)))
    ]
    return build.generic([source], [build.empty(type_)], lambda new, old: [new], maps).result
