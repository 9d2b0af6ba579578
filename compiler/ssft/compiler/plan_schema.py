"""What a plan says about itself: the step function's signature as plain dataclasses.

A plan is one MLIR module whose ``func.func @step`` carries ``ssft.*`` attributes on its arguments,
its results and the module (the table is in ``docs/architecture.md``, "The step function").
`read_signature` is the only code that reads those attributes; everybody else uses the dataclasses
below, which hold no IR handles and so outlive the module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from ssft.compiler.diagnostics import UserError
from ssft.compiler.masks import Lists, Mask, Tile
from ssft.dialects._mlir import ir

__all__ = [
    "ArgumentInfo",
    "Mask",
    "Permutation",
    "ResultInfo",
    "StepSignature",
    "Tile",
    "WeightsFile",
    "find_step",
    "item_bytes",
    "read_signature",
    "to_plain",
]

_Record = TypeVar("_Record", Mask, Tile)
_Entry = TypeVar("_Entry", "ArgumentInfo", "ResultInfo")

STEP = "step"
"""Name of the function that is one training step."""

ROLES = frozenset({"trainable", "frozen", "state", "hyper", "step", "seed", "input", "index"})
RESULT_ROLES = frozenset({"loss", "metric", "gradient"})

_ITEM_BYTES = {"i1": 1, "i8": 1, "ui8": 1, "i16": 2, "i32": 4, "i64": 8}
_ITEM_BYTES |= {"bf16": 2, "f16": 2, "f32": 4, "f64": 8}


def item_bytes(dtype: str) -> int:
    """Bytes that one element of an MLIR element type such as ``"bf16"`` takes in memory."""
    try:
        return _ITEM_BYTES[dtype]
    except KeyError:
        raise UserError(f"element type '{dtype}' cannot be stored in memory") from None


@dataclass(frozen=True)
class ArgumentInfo:
    """One argument of the step. `dtype` is the MLIR element type, such as ``"f32"``.

    `indices` is what an index list (role ``index``) holds at first; one with `complement` always
    holds what the list of that name does not.
    """

    index: int
    role: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    state: str | None = None
    range: tuple[int, int] | None = None
    ignore: int | None = None
    aliases: tuple[str, ...] = ()
    mask: Mask | None = None
    tile: Tile | None = None
    permuted: tuple[str, ...] | None = None
    buffer: bool = False
    indices: tuple[int, ...] | None = None
    complement: str | None = None

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return _product(self.shape)

    @property
    def bytes(self) -> int:
        """Size in memory, row-major without padding."""
        return self.elements * item_bytes(self.dtype)


@dataclass(frozen=True)
class ResultInfo:
    """One result of the step: an update of argument `updates_arg`, or a value with a `role`."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    role: str | None = None
    name: str | None = None
    updates_arg: int | None = None
    tile: Tile | None = None
    permuted: tuple[str, ...] | None = None

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return _product(self.shape)

    @property
    def bytes(self) -> int:
        """Size in memory, row-major without padding."""
        return self.elements * item_bytes(self.dtype)


@dataclass(frozen=True)
class Permutation:
    """A permutation of `size` indices that brings `front` to the front, in that order."""

    size: int
    front: tuple[int, ...]

    def order(self) -> tuple[int, ...]:
        """The original index that each permuted position holds."""
        chosen = set(self.front)
        return self.front + tuple(i for i in range(self.size) if i not in chosen)


@dataclass(frozen=True)
class WeightsFile:
    """A file that belongs to the plan, such as its parameters: its name next to it, and sha256."""

    file: str
    sha256: str


@dataclass(frozen=True)
class StepSignature:
    """Everything that `ssft.*` attributes say about a plan.

    `selection` says how index lists are chosen again (`ssft.compiler.recipes.selection`), and
    `measure` names the step that measures the model for that.
    """

    arguments: tuple[ArgumentInfo, ...]
    results: tuple[ResultInfo, ...]
    permutations: Mapping[str, Permutation] = field(default_factory=dict)
    weights: WeightsFile | None = None
    version: str | int | None = None
    method: str | None = None
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    max_grad_norm: float | None = None
    selection: str | None = None
    measure: WeightsFile | None = None

    def with_role(self, *roles: str) -> Iterator[ArgumentInfo]:
        """The arguments that have one of `roles`, in argument order."""
        return (argument for argument in self.arguments if argument.role in roles)

    @property
    def parameters(self) -> tuple[ArgumentInfo, ...]:
        """Trainable and frozen arguments: what `state_dict()` holds."""
        return tuple(self.with_role("trainable", "frozen"))

    @property
    def inputs(self) -> tuple[ArgumentInfo, ...]:
        """The arguments that come from the batch."""
        return tuple(self.with_role("input"))

    def states_of(self, parameter: str) -> dict[str, tuple[ArgumentInfo, ...]]:
        """The optimizer states of a parameter by PyTorch's key, e.g. ``"exp_avg"``.

        A masked parameter has one argument for each tile of its mask.
        """
        found: dict[str, tuple[ArgumentInfo, ...]] = {}
        for argument in self.with_role("state"):
            if argument.name == parameter:
                key = argument.state or ""
                found[key] = (*found.get(key, ()), argument)
        return found

    def selected(self, lists: Lists) -> StepSignature:
        """The signature with the masks and tiles that follow from what index lists hold now."""

        def record(info: _Entry) -> _Entry:
            changes: dict[str, Any] = {}
            if info.tile is not None:
                changes["tile"] = info.tile.selected(lists)
            if isinstance(info, ArgumentInfo) and info.mask is not None:
                changes["mask"] = info.mask.selected(lists)
            return replace(info, **changes) if changes else info

        return replace(
            self,
            arguments=tuple(map(record, self.arguments)),
            results=tuple(map(record, self.results)),
        )

    def update_of(self, argument: int) -> ResultInfo | None:
        """The result that becomes argument number `argument` in the next step, if any."""
        return next((r for r in self.results if r.updates_arg == argument), None)

    def results_with_role(self, role: str) -> tuple[ResultInfo, ...]:
        """The results with a given role, in order."""
        return tuple(result for result in self.results if result.role == role)


def find_step(module: ir.Module | ir.Operation) -> ir.Operation:
    """The ``func.func @step`` of a plan; a module without one is a `UserError`."""
    for op in module.operation.regions[0].blocks[0].operations:
        named = "sym_name" in op.attributes
        if op.operation.name == "func.func" and named and op.attributes["sym_name"].value == STEP:
            return op.operation
    raise UserError(
        "the module has no function '@step', so it is not a plan",
        notes=["a plan is what 'ssftc model.py -o plan.mlir' writes"],
    )


def read_signature(module: ir.Module | ir.Operation) -> StepSignature:
    """Reads the signature of the plan in `module` and checks that it is consistent."""
    step = find_step(module)
    function_type = step.attributes["function_type"].value
    inputs, outputs = list(function_type.inputs), list(function_type.results)
    arguments = tuple(
        _argument(i, type_, attributes)
        for i, (type_, attributes) in enumerate(
            zip(inputs, _dictionaries(step, "arg_attrs", len(inputs)), strict=True)
        )
    )
    results = tuple(
        _result(i, type_, attributes, arguments)
        for i, (type_, attributes) in enumerate(
            zip(outputs, _dictionaries(step, "res_attrs", len(outputs)), strict=True)
        )
    )
    attributes = _ssft_attributes(module.operation.attributes)
    return StepSignature(
        arguments,
        results,
        permutations=_permutations(attributes.get("permutations", {})),
        weights=_file(attributes, "weights"),
        version=attributes.get("version"),
        method=attributes.get("method"),
        optimizer=attributes.get("optimizer", {}),
        source=attributes.get("source"),
        max_grad_norm=attributes.get("max_grad_norm"),
        selection=attributes.get("selection"),
        measure=_file(attributes, "measure"),
    )


def _file(attributes: Mapping[str, Any], key: str) -> WeightsFile | None:
    entry = attributes.get(key)
    if entry is None:
        return None
    match entry:
        case {"file": str(file), "sha256": str(digest)}:
            return WeightsFile(file, digest)
    raise UserError(f"module attribute 'ssft.{key}' needs the entries 'file' and 'sha256'")


def _argument(index: int, type_: ir.Type, attributes: dict[str, Any]) -> ArgumentInfo:
    where = f"argument {index} of '@step'"
    role = attributes.get("role")
    if role not in ROLES:
        raise UserError(f"{where} has the role {role!r}, not one of {', '.join(sorted(ROLES))}")
    if "name" not in attributes:
        raise UserError(f"{where} has no 'ssft.name'")
    if role == "state" and "state" not in attributes:
        raise UserError(f"{where} has the role 'state' but no 'ssft.state'")
    shape, dtype = _shape_and_dtype(type_, where)
    limits = attributes.get("range")
    if limits is not None and len(limits) != 2:
        raise UserError(f"{where} has an 'ssft.range' that is not a pair of integers")
    return ArgumentInfo(
        index,
        role,
        attributes["name"],
        shape,
        dtype,
        state=attributes.get("state"),
        range=limits,
        ignore=attributes.get("ignore"),
        aliases=attributes.get("aliases", ()),
        mask=_record(Mask, attributes.get("mask"), where),
        tile=_record(Tile, attributes.get("tile"), where),
        permuted=attributes.get("permuted"),
        buffer=bool(attributes.get("buffer", False)),
        indices=attributes.get("indices"),
        complement=attributes.get("complement"),
    )


def _result(
    index: int, type_: ir.Type, attributes: dict[str, Any], arguments: tuple[ArgumentInfo, ...]
) -> ResultInfo:
    where = f"result {index} of '@step'"
    shape, dtype = _shape_and_dtype(type_, where)
    role, target = attributes.get("role"), attributes.get("updates_arg")
    if target is None and role not in RESULT_ROLES:
        raise UserError(f"{where} has neither 'ssft.updates_arg' nor a role of a result")
    if target is not None:
        if not 0 <= target < len(arguments):
            raise UserError(f"{where} updates argument {target}, which does not exist")
        if (arguments[target].shape, arguments[target].dtype) != (shape, dtype):
            raise UserError(f"{where} updates argument {target}, which has another type")
    return ResultInfo(
        index,
        shape,
        dtype,
        role=role,
        name=attributes.get("name"),
        updates_arg=target,
        tile=_record(Tile, attributes.get("tile"), where),
        permuted=attributes.get("permuted"),
    )


def _record(kind: type[_Record], entries: dict[str, Any] | None, where: str) -> _Record | None:
    if entries is None:
        return None
    unknown = set(entries) - {entry.name for entry in fields(kind)}
    if unknown:
        raise UserError(f"{where} has unknown entries {sorted(unknown)} in its {kind.__name__}")
    if "rectangles" in entries:
        tiles = tuple(_record(Tile, entry, where) for entry in entries["rectangles"])
        entries = entries | {"rectangles": tiles}
    return kind(**entries)


def _permutations(attribute: Mapping[str, Any]) -> dict[str, Permutation]:
    return {
        name: Permutation(int(entry["size"]), tuple(entry["front"]))
        for name, entry in attribute.items()
    }


def _shape_and_dtype(type_: ir.Type, where: str) -> tuple[tuple[int, ...], str]:
    if not isinstance(type_, ir.ShapedType):
        raise UserError(f"{where} has the type '{type_}', which is not a tensor")
    if not type_.has_static_shape:
        raise UserError(f"{where} has the type '{type_}', whose shape is not static")
    # An encoding or a memref layout does not change what the caller passes.
    return tuple(type_.shape), re.sub(r"^s(?=i\d)", "", str(type_.element_type))


def _dictionaries(step: ir.Operation, name: str, count: int) -> list[dict[str, Any]]:
    if name not in step.attributes:
        return [{} for _ in range(count)]
    return [_ssft_attributes(dictionary) for dictionary in step.attributes[name]]


def _ssft_attributes(attributes: Any) -> dict[str, Any]:
    """The attributes in the ``ssft.`` name space as plain values, without the prefix."""
    names = [entry if isinstance(entry, str) else entry.name for entry in attributes]
    return {
        name.removeprefix("ssft."): to_plain(attributes[name])
        for name in names
        if name.startswith("ssft.")
    }


def to_plain(attribute: ir.Attribute) -> Any:
    """An attribute as str, int, float, bool, tuple or dict; a unit attribute becomes True."""
    if isinstance(attribute, ir.DictAttr):
        entries = [attribute[i] for i in range(len(attribute))]
        return {entry.name: to_plain(entry.attr) for entry in entries}
    if isinstance(attribute, ir.ArrayAttr):
        return tuple(to_plain(item) for item in attribute)
    if isinstance(attribute, ir.DenseI64ArrayAttr | ir.DenseF64ArrayAttr):
        return tuple(attribute)
    if isinstance(attribute, ir.UnitAttr):
        return True
    if isinstance(attribute, ir.StringAttr | ir.BoolAttr | ir.IntegerAttr | ir.FloatAttr):
        return attribute.value
    raise UserError(f"plan attribute '{attribute}' has a kind that plans do not use")


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
