"""Writes machine descriptions as files of their own."""

from __future__ import annotations

import json
from itertools import groupby

from ssft.hwmodel.config.fields import SWITCH
from ssft.hwmodel.config.leaves import leaves
from ssft.hwmodel.config.provenance import Constant, Value
from ssft.hwmodel.config.schema import Machine

FROM_COMMAND_LINE = "INF"
"""The label of a constant that was set: ``SET`` is not written in files."""


def machine_toml(machine: Machine, name: str | None = None) -> str:
    """The TOML file of a machine, every constant in it, in the schema's units.

    It is based on no other machine, so a constant that is deleted is missing rather than another
    machine's. `name` replaces the machine's own.
    """
    lines = [
        f"name = {_text(name or machine.name)}",
        f"description = {_text(machine.description)}",
    ]
    for section, entries in groupby(machine.constants.items(), key=lambda e: _section(e[0])):
        lines += ["", f"[{section}]"]
        lines += [f"{key.rpartition('.')[2]} = {_entry(key, entry)}" for key, entry in entries]
    return "\n".join(lines) + "\n"


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _entry(key: str, constant: Constant) -> str:
    label = FROM_COMMAND_LINE if constant.label == "SET" else constant.label
    texts = (constant.unit, label, constant.source)
    fields = (_value(key, constant.value), *map(_text, texts))
    names = ("value", "unit", "label", "source")
    return f"{{ {', '.join(f'{n} = {f}' for n, f in zip(names, fields, strict=True))} }}"


def _value(key: str, value: Value) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(f'[{x!r}, {y!r}]' for x, y in value)}]"
    if leaves()[key].unit == SWITCH:
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """A basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False)


__all__ = ["machine_toml"]
