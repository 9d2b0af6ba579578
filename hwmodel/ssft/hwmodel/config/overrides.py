"""Settings on the command line: ``dram.bandwidth=1e12`` or ``dram.bandwidth=1TB/s``."""

from __future__ import annotations

from ssft.hwmodel.config.entries import Problem, convert
from ssft.hwmodel.config.fields import CHOICE, SWITCH
from ssft.hwmodel.config.leaves import Leaf, leaves
from ssft.hwmodel.config.provenance import Constant, Value
from ssft.hwmodel.config.suggestions import suggestion
from ssft.hwmodel.config.units import describe, split_quantity
from ssft.hwmodel.errors import MachineError

SWITCH_WORDS = {"true": True, "false": False, "on": True, "off": False}


def read_override(setting: str) -> tuple[str, Constant]:
    """Key and constant of ``key=value``; a number without a unit is in the schema's unit.

    Raises MachineError if the key is unknown or the value does not fit.
    """
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not equals:
        raise MachineError(
            f"setting '{setting}' has no value", ["write it as in dram.bandwidth=1TB/s"]
        )
    leaf = leaves().get(key)
    if leaf is None:
        raise MachineError(f"setting '{setting}': no constant '{key}'", [suggestion(key, leaves())])
    value = _value(leaf, text)
    if isinstance(value, Problem):
        raise MachineError(f"setting '{setting}': {value}", [value.hint])
    return key, Constant(value, leaf.unit, "SET", f"set by {setting}")


def _value(leaf: Leaf, text: str) -> Value | Problem:
    if leaf.unit == CHOICE:
        return convert(leaf, text, leaf.unit)
    if leaf.unit == SWITCH:
        return convert(leaf, SWITCH_WORDS.get(text.lower(), text), leaf.unit)
    if leaf.is_curve:
        return Problem(leaf.key, "is a curve", "copy the machine's file and edit its points")
    quantity = split_quantity(text)
    if quantity is None:
        expected = f"is '{text}', expected a number of {describe(leaf.unit)}"
        return Problem(leaf.key, expected, f"it is: {leaf.description}")
    return convert(leaf, quantity[0], quantity[1] or leaf.unit)
