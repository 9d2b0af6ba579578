"""The optimizer on (a slice of) a weight: ``update`` and its terminator ``yield``."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ssft.dialects._mlir import ext, ir
from ssft.dialects.spec import Operation, require, static_tensor
from ssft.dialects.ssft.dialect import Ssft

if TYPE_CHECKING:
    import numpy as np

SCALAR_DIALECTS = ("arith", "math")
"""The dialects whose operations may stand in the region of ``ssft.update``."""

_SEGMENTS = "operandSegmentSizes"


class UpdateOp(Operation, dialect=Ssft, name="update", traits=[ext.Pure]):
    """Applies an optimizer's element-wise program to a weight and its states.

    The region computes, from one element of each operand, the new element of the weight and of
    each state. It may use scalars defined outside, e.g. the learning rate. Which program it is —
    AdamW, SGD with momentum, anything element-wise — is up to the region.

    Operands are the weight, its states (any number) and gradients (at least one).

    Constraints:

    * (C1) ``operandSegmentSizes`` holds three sizes: 1, the number of states, and that of
      gradients, which is at least 1; they add up to the number of operands.
    * (C2) All operands are ranked tensors with static dimensions and have the same shape.
    * (C3) All states have one type, and all gradients have one type.
    * (C4) There is one result for the weight and one for each state, of their types.
    * (C5) The region is one block, whose arguments are the operands' element types, in order.
    * (C6) The block ends in ``ssft.yield`` of one element for each result, of its element type.
    * (C7) All other operations of the block belong to ``arith`` or ``math`` and have no regions.
    * (C8) Values used from outside the region are integers, indices or floating-point numbers.

    Example::

        %new = "ssft.update"(%w, %g) ({
        ^bb0(%we: f32, %ge: f32):
          %step = arith.mulf %lr, %ge : f32
          %ne = arith.subf %we, %step : f32
          "ssft.yield"(%ne) : (f32) -> ()
        }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<8x3xf32>, tensor<8x3xf32>) -> tensor<8x3xf32>
    """  # noqa: E501 (an operation's type does not break)

    weight: ext.Operand[Any]
    states: Sequence[ext.Operand[Any]]
    gradients: Sequence[ext.Operand[Any]]
    new_weight: ext.Result[Any]
    new_states: Sequence[ext.Result[Any]]
    body: ext.Region

    @classmethod
    def build(
        cls,
        weight: ir.Value,
        states: Sequence[ir.Value],
        gradients: Sequence[ir.Value],
        body: Callable[..., Sequence[ir.Value]] | None = None,
        *,
        loc: Any = None,
        ip: Any = None,
    ) -> "UpdateOp":
        """Makes the operation with its block.

        `body` is called with the block's arguments and an insertion point at its end, and returns
        the new elements (weight first); without it, the block is left empty for the caller to fill.
        """
        operands = [weight, *states, *gradients]
        sizes = ir.DenseI32ArrayAttr.get([1, len(states), len(gradients)], weight.type.context)
        results = [value.type for value in (weight, *states)]
        op = cls.create(results, operands, {_SEGMENTS: sizes}, regions=1, loc=loc, ip=ip)
        elements = [value.type.element_type for value in operands]
        where = op.location
        block = op.regions[0].blocks.append(*elements, arg_locs=[where] * len(elements))
        if body is not None:
            with ir.InsertionPoint(block), where:
                YieldOp.build(body(*block.arguments))
        return op

    def check(self) -> None:
        """Checks C1 to C4."""
        operands = list(self.operation.operands)
        states, _ = self._verify_segments(len(operands))
        types = [
            static_tensor(value, f"operand {n}") for n, value in enumerate(operands)
        ]  # update_c2
        for number, type_ in enumerate(types):
            require(  # update_c2
                type_.shape == types[0].shape,
                f"operand {number} has dimensions {type_.shape}, "
                f"but the weight has {types[0].shape}",
            )
        groups = {"states": types[1 : 1 + states], "gradients": types[1 + states :]}
        for name, group in groups.items():
            different = next((type_ for type_ in group if type_ != group[0]), None)
            require(  # update_c3
                different is None,
                f"'{name}' must have one type, but {_types(group)} differ",
            )
        results = [value.type for value in self.operation.results]
        expected = [types[0], *groups["states"]]
        require(  # update_c4
            results == expected,
            f"has results of types {_types(results)}, expected {_types(expected)}",
        )

    def _verify_segments(self, operand_count: int) -> tuple[int, int]:
        """Returns the numbers of states and gradients."""
        sizes = self.attributes.get(_SEGMENTS, None)
        given = isinstance(sizes, ir.DenseI32ArrayAttr)
        require(given, f"requires an array<i32> attribute '{_SEGMENTS}'")  # update_c1
        counts = list(sizes)
        require(  # update_c1
            len(counts) == 3 and counts[0] == 1 and counts[1] >= 0 and counts[2] >= 1,
            f"attribute '{_SEGMENTS}' is {counts}, expected one weight, any number of states "
            "and at least one gradient",
        )
        require(  # update_c1
            sum(counts) == operand_count,
            f"attribute '{_SEGMENTS}' is {counts}, but there are {operand_count} operands",
        )
        return counts[1], counts[2]

    def check_regions(self) -> None:
        """Checks C5 to C8."""
        blocks = list(self.regions[0].blocks)
        require(len(blocks) == 1, f"region has {len(blocks)} blocks, expected 1")  # update_c5
        arguments = [argument.type for argument in blocks[0].arguments]
        elements = [value.type.element_type for value in self.operation.operands]
        require(  # update_c5
            arguments == elements,
            f"block has arguments {_types(arguments)}, expected {_types(elements)}",
        )
        *body, terminator = list(blocks[0].operations)
        require(  # update_c6
            terminator.operation.name == YieldOp.OPERATION_NAME,
            f"block must end in 'ssft.yield', not '{terminator.operation.name}'",
        )
        yielded = [value.type for value in terminator.operation.operands]
        expected = [value.type.element_type for value in self.operation.results]
        require(  # update_c6
            yielded == expected,
            f"block yields {_types(yielded)}, expected {_types(expected)}",
        )
        for op in body:
            name = op.operation.name
            scalar = name.split(".")[0] in SCALAR_DIALECTS and not len(op.operation.regions)
            require(
                scalar, f"block may hold operations of arith and math only, not '{name}'"
            )  # update_c7
        for value in self.captured():
            scalar = isinstance(value.type, ir.IntegerType | ir.IndexType | ir.FloatType)
            require(
                scalar, f"block uses a {value.type} from outside, expected a scalar"
            )  # update_c8

    def captured(self) -> list[ir.Value]:
        """Returns the values that the region uses but does not define, each once."""
        block = self.regions[0].blocks[0]
        inside = set(block.arguments)
        outside: dict[ir.Value, None] = {}
        for op in block.operations:
            for value in op.operation.operands:
                if value not in inside:
                    outside[value] = None
            inside.update(op.operation.results)
        return list(outside)

    def reference(
        self, *operands: "np.ndarray", captured: "Mapping[ir.Value, Any] | None" = None
    ) -> "tuple[np.ndarray, ...]":
        """The new weight and states, computed by NumPy: the region, on whole arrays.

        `captured` gives the scalars from outside; those that are computed from constants alone
        need not be given.
        """
        from ssft.dialects.scalar import evaluate_block

        return tuple(evaluate_block(self.regions[0].blocks[0], operands, captured or {}))


class YieldOp(Operation, dialect=Ssft, name="yield", traits=[ir.IsTerminatorTrait, ext.Pure]):
    """Ends the region of ``ssft.update`` with the new elements: the weight's, then each state's.

    Constraints:

    * (C1) The parent is ``ssft.update``.

    Example::

        "ssft.yield"(%new_weight, %new_moment) : (f32, f32) -> ()
    """

    weight: ext.Operand[Any]
    states: Sequence[ext.Operand[Any]]

    @classmethod
    def build(cls, values: Sequence[ir.Value], *, loc: Any = None, ip: Any = None) -> "YieldOp":
        """Yields the new elements `values`, the weight's first."""
        return cls.create([], values, loc=loc, ip=ip)

    def check(self) -> None:
        """Checks C1."""
        parent = self.operation.parent
        name = parent.name if parent is not None else None
        require(  # yield_c1
            name in (None, UpdateOp.OPERATION_NAME), f"must stand in 'ssft.update', not in '{name}'"
        )


def _types(types: Sequence[ir.Type]) -> str:
    return "(" + ", ".join(str(type_) for type_ in types) + ")"
