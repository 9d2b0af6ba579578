"""What our operations have in common: constraints with numbers, and messages that name operands.

An operation's docstring is its specification. Its constraints are numbered ``(C1)``, ``(C2)``, …;
the line of `check` that checks constraint 2 of ``ssft.gather`` ends in ``# gather_c2``, and the
function ``@gather_c2`` of its ``invalid.mlir`` violates it. Tests hold the three together.

MLIR runs these verifiers *before* the checks that it derives from the declaration of operands and
attributes, so `Operation` checks the structure first; `check` may rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssft.dialects._mlir import ext, ir


class ConstraintViolation(Exception):
    """Raised by `check` and `check_regions`; becomes a diagnostic at the operation."""


def require(condition: object, message: str) -> None:
    """Raises `ConstraintViolation` with `message` unless `condition` holds."""
    if not condition:
        raise ConstraintViolation(message)


class Operation(ext.Operation):
    """Base class of our operations; subclasses override `check` and perhaps `check_regions`."""

    def check(self) -> None:
        """Checks the constraints of the operation itself by `require`."""

    def check_regions(self) -> None:
        """Checks constraints on the regions; the operations in them have been verified by then."""

    def verify_invariants(self) -> bool:
        """MLIR's verifier hook."""
        return _report(self, _check_structure) and _report(self, type(self).check)

    def verify_region_invariants(self) -> bool:
        """MLIR's verifier hook for regions."""
        return _report(self, type(self).check_regions)

    @classmethod
    def create(
        cls,
        results: Sequence[ir.Type],
        operands: Sequence[ir.Value],
        attributes: Mapping[str, ir.Attribute] | None = None,
        *,
        regions: int = 0,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> Any:
        """Creates the operation from flat lists; the typed ``build`` of a subclass is friendlier.

        Without `loc` and `ip`, the current location and insertion point are used.
        """
        return ir.Operation.create(
            cls.OPERATION_NAME,
            results=list(results),
            operands=list(operands),
            attributes=dict(attributes or {}),
            regions=regions,
            loc=loc,
            ip=ip,
        ).opview

    @classmethod
    def _generate_operand_properties(cls, operands: list[Any]) -> None:
        super()._generate_operand_properties(operands)
        _add_positional_accessors(cls, operands, "operands")

    @classmethod
    def _generate_result_properties(cls, results: list[Any]) -> None:
        super()._generate_result_properties(results)
        _add_positional_accessors(cls, results, "results")


def _report(op: Any, check: Any) -> bool:
    try:
        check(op)
    except ConstraintViolation as violation:
        op.location.emit_error(f"'{op.OPERATION_NAME}' op {violation}")
        return False
    return True


def _check_structure(op: Any) -> None:
    """Counts of operands, results and regions, and the presence of attributes."""
    operands, attributes, results, regions = ext.partition_fields(op._fields)
    for kind, fields, actual in (
        ("operand", operands, len(op.operation.operands)),
        ("result", results, len(op.operation.results)),
        ("region", regions, len(op.operation.regions)),
    ):
        variadic = any(_is_variadic(field) for field in fields)
        expected = sum(not _is_variadic(field) for field in fields)
        bound = f"at least {expected}" if variadic else str(expected)
        require(
            actual == expected or (variadic and actual > expected),
            f"has {actual} {kind}s, expected {bound}",
        )
    for field in attributes:
        require(field.name in op.attributes, f"requires attribute '{field.name}'")
        value = op.attributes[field.name]
        if field.constraint is ir.IntegerAttr:
            require(
                isinstance(value, ir.IntegerAttr) and str(value.type) == "i64",
                f"attribute '{field.name}' must be an i64 integer, but is {value}",
            )


def _is_variadic(field: Any) -> bool:
    return field.variadicity != ext.Variadicity.single


def _add_positional_accessors(cls: type, fields: list[Any], kind: str) -> None:
    """Replaces accessors that need a segment attribute where the positions alone tell.

    With at most one variadic group the groups follow from the counts, so the textual form may
    leave the attribute out; the accessors of `ext` would raise `KeyError` on such an operation.
    """
    variadic = [index for index, field in enumerate(fields) if _is_variadic(field)]
    if len(variadic) != 1:
        return
    for index, field in enumerate(fields):
        setattr(cls, field.name, property(_positional(kind, index, variadic[0], len(fields))))


def _positional(kind: str, index: int, variadic: int, count: int) -> Any:
    def get(self: Any) -> Any:
        values = list(getattr(self.operation, kind))
        if index < variadic:
            return values[index]
        if index > variadic:
            return values[index - count]
        return values[variadic : len(values) - (count - variadic - 1)]

    return get


# Checks that several operations share -------------------------------------------------------------


def static_tensor(value: ir.Value, name: str) -> ir.RankedTensorType:
    """Returns the type of `value`, which must be a ranked tensor with static dimensions."""
    type_ = value.type
    require(
        isinstance(type_, ir.RankedTensorType), f"'{name}' must be a ranked tensor, not {type_}"
    )
    require(type_.has_static_shape, f"'{name}' must have static dimensions, but has type {type_}")
    return type_


def dimension(attribute: ir.IntegerAttr, type_: ir.RankedTensorType, name: str) -> int:
    """Returns `attribute` as a dimension of the operand `name`, whose type is `type_`."""
    dim = attribute.value
    require(
        0 <= dim < type_.rank,
        f"attribute 'dim' is {dim}, but '{name}' has {type_.rank} dimensions",
    )
    return dim


def index_list(value: ir.Value, name: str) -> int:
    """Returns the length of `value`, which must be a ``tensor<kxi64>``."""
    type_ = static_tensor(value, name)
    require(
        type_.rank == 1 and str(type_.element_type) == "i64",
        f"'{name}' must be a tensor<kxi64>, not {type_}",
    )
    return type_.shape[0]


def constant_indices(value: ir.Value) -> list[int] | None:
    """Returns the elements of `value` if an ``arith.constant`` defines it, otherwise `None`."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "arith.constant":
        return None
    elements = owner.attributes["value"]
    if not isinstance(elements, ir.DenseIntElementsAttr):
        return None
    return memoryview(elements).tolist()  # 100 times faster than iterating over the attribute


def require_in_range(indices: ir.Value, extent: int, name: str) -> None:
    """Constant `indices` must lie in ``[0, extent)``."""
    for position, index in enumerate(constant_indices(indices) or ()):
        require(
            0 <= index < extent,
            f"'{name}'[{position}] is {index}, but the dimension has {extent} elements",
        )


def require_distinct(indices: ir.Value, name: str) -> None:
    """Constant `indices` must not repeat."""
    values = constant_indices(indices) or []
    if len(set(values)) == len(values):
        return
    seen: dict[int, int] = {}
    for position, index in enumerate(values):
        require(
            index not in seen,
            f"'{name}'[{position}] is {index}, and so is '{name}'[{seen.get(index)}]; "
            "indices must be distinct",
        )
        seen[index] = position


def with_dimension(type_: ir.RankedTensorType, dim: int, size: int) -> ir.RankedTensorType:
    """Returns `type_` with `size` elements along dimension `dim`."""
    shape = list(type_.shape)
    shape[dim] = size
    return ir.RankedTensorType.get(
        shape, type_.element_type, type_.encoding, loc=ir.Location.unknown(type_.context)
    )


def require_type(actual: ir.Type, expected: ir.Type, name: str) -> None:
    """The operand or result `name` must have type `expected`."""
    require(actual == expected, f"'{name}' has type {actual}, expected {expected}")


def i64(value: int, context: ir.Context) -> ir.IntegerAttr:
    """Returns `value` as an ``i64`` attribute."""
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64, context), value)
