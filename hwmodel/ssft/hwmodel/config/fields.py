"""How the schema declares a constant: its unit, and the values that it may have."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

CHOICE = "choice"
"""The unit of constants that are names, such as the tensor unit's engine."""
SWITCH = "switch"
"""The unit of constants that are true or false."""
EXTERNAL = "unit"


class Section(BaseModel):
    """A table of the machine file: constants, and further sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def positive(unit: str, text: str, **more: Any) -> Any:
    """A constant greater than 0."""
    return Field(gt=0, description=text, json_schema_extra={EXTERNAL: unit}, **more)


def non_negative(unit: str, text: str, **more: Any) -> Any:
    """A constant that may be 0."""
    return Field(ge=0, description=text, json_schema_extra={EXTERNAL: unit}, **more)


def fraction(text: str, **more: Any) -> Any:
    """An efficiency: in (0, 1]."""
    return Field(gt=0, le=1, description=text, json_schema_extra={EXTERNAL: "1"}, **more)


def choice(text: str, **more: Any) -> Any:
    """One of several names; the field's type lists them."""
    return Field(description=text, json_schema_extra={EXTERNAL: CHOICE}, **more)


def switch(text: str, **more: Any) -> Any:
    """True or false."""
    return Field(description=text, json_schema_extra={EXTERNAL: SWITCH}, **more)


def curve(unit: str, text: str, **more: Any) -> Any:
    """Points ``[x, efficiency]``: x in `unit`, ascending; efficiencies in (0, 1], not falling."""
    return Field(description=text, json_schema_extra={EXTERNAL: f"1 by {unit}"}, **more)


def unit_of(field: FieldInfo) -> str | None:
    """The unit of a constant; None of a section."""
    extra = field.json_schema_extra
    return str(extra[EXTERNAL]) if isinstance(extra, dict) else None
