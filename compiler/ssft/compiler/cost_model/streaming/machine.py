"""The memories of a machine and the links between them, from a file or the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ssft.compiler.diagnostics import UserError
from ssft.hwmodel.config.provenance import LABELS
from ssft.hwmodel.config.units import describe, spellings, split_quantity

PRESETS = Path(__file__).parent / "machines"

UNITS = {
    "device": "B",
    "host": "B",
    "ssd": "B",
    "to_device": "B/s",
    "to_host": "B/s",
    "ssd_read": "B/s",
    "ssd_write": "B/s",
    "compute": "FLOP/s",
    "host_update": "elements/s",
}

MOST = 1e24
"""The largest constant: seconds and their ratios stay numbers."""


@dataclass(frozen=True)
class Machine:
    """Bytes, bytes per second, FLOP/s that are reached, elements per second.

    `to_device` and `to_host` are the directions of the link between host and device, which do not
    slow each other down; so are `ssd_read` and `ssd_write`. `host_update`: elements of which the
    host's optimizer updates weights and states in a second.
    """

    device: float
    host: float
    ssd: float
    to_device: float
    to_host: float
    ssd_read: float
    ssd_write: float
    compute: float
    host_update: float

    def __post_init__(self) -> None:
        for name, unit in UNITS.items():
            value, least = getattr(self, name), 0.0 if name in ("host", "ssd") else 1.0
            if not least <= value <= MOST:
                raise UserError(
                    f"{name} of the machine is {value:g} {unit}",
                    notes=[f"it can be from {least:g} to {MOST:g} {unit}"],
                    exit_code=2,
                )


def quantity(text: str, unit: str) -> float:
    """Reads a number with a unit such as ``24GB``; a prefix of operations per second is taken, too.

    >>> quantity("1.5 GB/s", "B/s")
    1500000000.0
    """
    found = split_quantity(text)
    factors = dict(spellings(unit))
    if not unit.startswith("B"):
        factors |= {f"{p}{unit}": spellings("B")[f"{p}B"] for p in ("k", "M", "G", "T")}
    factor = factors.get(found[1] or unit) if found else None
    if found is None or factor is None or found[0] < 0:
        raise UserError(f"'{text}' is not in {describe(unit)}", exit_code=2)
    return float(found[0] * float(factor))


def preset_names() -> list[str]:
    """Names of the machines that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_machine(name: str, overrides: Mapping[str, float | None]) -> Machine:
    """Returns the machine of a preset's name or a file's path, with overrides that are not None.

    Every constant of a file is ``{ value, unit, label, source }``, as in the accelerator's. Raises
    UserError if the file is missing or not a machine.
    """
    path = PRESETS / f"{name}.toml" if name in preset_names() else Path(name)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        close = get_close_matches(name, preset_names(), n=1)
        hint = [f"did you mean '{close[0]}'?"] if close else []
        known = f"machines: {', '.join(preset_names())}; or give the path of a TOML file"
        raise UserError(f"no machine '{name}'", notes=[*hint, known], exit_code=2) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"cannot read machine file '{path}': {error}", exit_code=2) from None
    return replace(
        Machine(**{key: _constant(str(path), data, key) for key in UNITS}),
        **{key: value for key, value in overrides.items() if value is not None},
    )


def _constant(path: str, data: Mapping[str, Any], key: str) -> float:
    entry, unit = data.get(key), UNITS[key]
    shape = f'{key} = {{ value = …, unit = "{unit}", label = "INF", source = "why" }}'
    if not isinstance(entry, dict) or set(entry) != {"value", "unit", "label", "source"}:
        raise UserError(f"'{path}' has no {key}", notes=[f"write it as {shape}"], exit_code=2)
    if entry["label"] not in LABELS or not entry["source"]:
        raise UserError(
            f"{key} of '{path}' does not say what speaks for it",
            notes=[f"labels: {', '.join(LABELS)}"],
            exit_code=2,
        )
    return quantity(f"{entry['value']} {entry['unit']}", unit)
