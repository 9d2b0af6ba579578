"""The schema's constants, flat: by dotted key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import get_args

from pydantic.fields import FieldInfo

from ssft.hwmodel.config.fields import CHOICE, SWITCH, Section, unit_of
from ssft.hwmodel.config.schema import Machine


@dataclass(frozen=True, slots=True)
class Leaf:
    """A constant of the schema. `optional_section` is the section that may be absent with it."""

    key: str
    unit: str
    description: str
    required: bool
    optional_section: str | None

    @property
    def is_curve(self) -> bool:
        """Whether it is a list of points."""
        return self.unit.startswith("1 by ")

    @property
    def is_number(self) -> bool:
        """Whether it is a number with a unit."""
        return not self.is_curve and self.unit not in (CHOICE, SWITCH)


def _section_of(field: FieldInfo) -> tuple[type[Section] | None, bool]:
    """The section that a field holds, and whether it may be absent."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
        return field.annotation, False
    for option in get_args(field.annotation):
        if isinstance(option, type) and issubclass(option, Section):
            return option, True
    return None, False


def _collect(section: type[Section], prefix: str, optional: str | None) -> dict[str, Leaf]:
    found: dict[str, Leaf] = {}
    for name, field in section.model_fields.items():
        key = prefix + name
        inner, may_be_absent = _section_of(field)
        if inner is not None:
            found |= _collect(inner, key + ".", key if may_be_absent else optional)
        elif (unit := unit_of(field)) is not None:
            required = field.is_required()
            found[key] = Leaf(key, unit, field.description or "", required, optional)
    return found


@cache
def leaves() -> dict[str, Leaf]:
    """All constants that a machine file may have, in the schema's order."""
    return _collect(Machine, "", None)
