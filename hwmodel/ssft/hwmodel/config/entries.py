"""Reads the entries of a machine file: ``{ value = …, unit = …, label = …, source = … }``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ssft.hwmodel.config.fields import CHOICE, SWITCH
from ssft.hwmodel.config.leaves import Leaf, leaves
from ssft.hwmodel.config.provenance import LABELS, Constant, Value
from ssft.hwmodel.config.suggestions import suggestion
from ssft.hwmodel.config.units import describe, spellings

ENTRY_KEYS = ("value", "unit", "label", "source")
FILE_LABELS = tuple(label for label in LABELS if label != "SET")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a key, and what to do about it."""

    key: str
    text: str
    hint: str

    def __str__(self) -> str:
        return f"'{self.key}' {self.text}"


def is_entry(value: Any) -> bool:
    """Whether a TOML value is meant as a constant rather than as a section."""
    return not isinstance(value, dict) or bool(set(value) & set(ENTRY_KEYS) - {"unit"})


def flat_entries(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and entries of nested TOML tables."""
    for name, value in table.items():
        # An entry that misses all but its unit is still one if the schema has it as a constant.
        if prefix + name in leaves() or is_entry(value):
            yield prefix + name, value
        else:
            yield from flat_entries(value, f"{prefix}{name}.")


def read_entry(key: str, entry: Any) -> Constant | Problem:
    """The constant that an entry of a machine file stands for, in the schema's unit."""
    leaf = leaves().get(key)
    if leaf is None:
        return Problem(key, "is not a constant of a machine", suggestion(key, leaves()))
    shape = f'{key} = {{ value = …, unit = "{leaf.unit}", label = "INF", source = "why" }}'
    if not isinstance(entry, dict):
        text = f"is not a constant with unit, label and source, but {entry!r}"
        return Problem(key, text, f"write it as {shape}")
    if missing := [name for name in ENTRY_KEYS if name not in entry]:
        return Problem(key, f"has no {', '.join(missing)}", f"write it as {shape}")
    if extra := [name for name in entry if name not in ENTRY_KEYS]:
        return Problem(key, f"has an unknown field '{extra[0]}'", f"write it as {shape}")
    if entry["label"] not in FILE_LABELS:
        meanings = "; ".join(f"{label}: {LABELS[label]}" for label in FILE_LABELS)
        return Problem(key, f"has evidence label {entry['label']!r}", f"labels are {meanings}")
    source = " ".join(str(entry["source"]).split())
    if not source:
        return Problem(key, "has an empty source", "say in a sentence where the value comes from")
    value = convert(leaf, entry["value"], str(entry["unit"]))
    if isinstance(value, Problem):
        return value
    return Constant(value, leaf.unit, entry["label"], source)


def convert(leaf: Leaf, value: Any, unit: str) -> Value | Problem:
    """`value`, given in `unit`, in the unit of `leaf`."""
    factor = spellings(leaf.unit).get(unit)
    if factor is None:
        text = f"has unit '{unit}', expected {describe(leaf.unit)}"
        return Problem(leaf.key, text, f"it is: {leaf.description}")
    if leaf.unit == CHOICE:
        return value if isinstance(value, str) else _wrong_kind(leaf, value, "a name")
    if leaf.unit == SWITCH:
        return value if isinstance(value, bool) else _wrong_kind(leaf, value, "true or false")
    if leaf.is_curve:
        points = isinstance(value, list) and all(
            isinstance(p, list) and len(p) == 2 and all(map(_is_number, p)) for p in value
        )
        if not points:
            return _wrong_kind(leaf, value, "a list of points [x, efficiency]")
        return tuple((float(x), float(y)) for x, y in value)
    if not _is_number(value):
        return _wrong_kind(leaf, value, f"a number of {describe(leaf.unit)}")
    scaled = float(Decimal(repr(value)) * factor)
    return int(scaled) if scaled.is_integer() else scaled


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_kind(leaf: Leaf, value: Any, expected: str) -> Problem:
    return Problem(leaf.key, f"is {value!r}, expected {expected}", f"it is: {leaf.description}")
