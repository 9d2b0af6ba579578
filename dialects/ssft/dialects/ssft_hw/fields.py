"""Checks of attributes that operations of tables share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ssft.dialects._mlir import ir
from ssft.dialects.spec import require
from ssft.dialects.ssft_hw.dialect import DTYPES

Attributes = Mapping[str, Any]
"""The attributes of an operation, or an attribute that is a dictionary."""


def get(attributes: Attributes, name: str, kind: type, what: str) -> Any:
    """Returns attribute `name`, which must be there and of a kind."""
    require(name in attributes, f"requires attribute '{name}'")
    value = attributes[name]
    require(isinstance(value, kind), f"attribute '{name}' must be {what}, but is {value}")
    return value


def integer(attributes: Attributes, name: str, least: int | None = None) -> int:
    """Returns an ``i64`` attribute, perhaps one that must not be less than `least`."""
    value = get(attributes, name, ir.IntegerAttr, "an i64 integer")
    require(str(value.type) == "i64", f"attribute '{name}' must be an i64 integer, but is {value}")
    require(
        least is None or value.value >= least,
        f"attribute '{name}' is {value.value}, expected at least {least}",
    )
    return value.value


def string(attributes: Attributes, name: str, allowed: Iterable[str] = ()) -> str:
    """Returns a string attribute, perhaps one of those allowed."""
    value = get(attributes, name, ir.StringAttr, "a string").value
    known = tuple(allowed)
    require(
        not known or value in known,
        f"attribute '{name}' is \"{value}\", expected one of {', '.join(known)}",
    )
    return value


def dtype(attributes: Attributes, name: str) -> str:
    """Returns the name of an element type that the machine has."""
    value = str(get(attributes, name, ir.TypeAttr, "a type").value)
    require(value in DTYPES, f"attribute '{name}' is {value}, expected one of {', '.join(DTYPES)}")
    return value


def integers(attributes: Attributes, name: str) -> list[int]:
    """Returns an ``array<i64>`` attribute."""
    return list(get(attributes, name, ir.DenseI64ArrayAttr, "an array<i64>"))


def dictionaries(attributes: Attributes, name: str) -> list[Attributes]:
    """Returns an attribute that is an array of dictionaries."""
    items = list(get(attributes, name, ir.ArrayAttr, "an array of dictionaries"))
    for item in items:
        require(isinstance(item, ir.DictAttr), f"attribute '{name}' holds {item}, not a dictionary")
    return items


def optional_integer(attributes: Attributes, name: str, least: int | None = None) -> None:
    """Checks an ``i64`` attribute that may be left out."""
    if name in attributes:
        integer(attributes, name, least)


def operations_in(region: ir.Region, allowed: Iterable[str]) -> list[ir.OpView]:
    """Returns the operations of a region: at most one block, which holds only those allowed."""
    blocks = list(region.blocks)
    require(len(blocks) <= 1, f"region has {len(blocks)} blocks, expected 1")
    known = frozenset(allowed)
    found = []
    for block in blocks:
        require(not len(block.arguments), "region's block has arguments")
        for op in block.operations:
            name = op.operation.name
            require(name in known, f"region may not hold '{name}'")
            found.append(op)
    return found


def parent_is(op: Any, name: str) -> None:
    """The operation must stand directly in one of a kind; one that stands nowhere is fine."""
    parent = op.operation.parent
    require(parent is None or parent.name == name, f"must stand in '{name}'")
