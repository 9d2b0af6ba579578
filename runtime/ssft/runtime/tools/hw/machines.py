"""``ssft-hw machines``: what there is, and every constant of one with its evidence."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from ssft.compiler.diagnostics import UserError
from ssft.runtime.tools.hw.text import console, si, table


def run(parsed: argparse.Namespace) -> int:
    """Lists the presets, or prints one machine."""
    from ssft.hwmodel.config import LABELS, list_machines, load_machine, machine_toml

    out = console()
    if parsed.name is None:
        if parsed.set or parsed.toml:
            raise UserError("no machine named", notes=["write `ssft-hw machines NAME …`"],
                            exit_code=2)  # fmt: skip
        rows = []
        for name, description in list_machines():
            machine = load_machine(name)
            rows.append((name, si(machine.peak_flops, "FLOP/s", 3),
                         si(machine.dram.bandwidth, "B/s", 3), escape(description)))  # fmt: skip
        out.print(table("machines", ("name", "peak", "DRAM", "<description"), rows))
        out.print("`ssft-hw machines NAME` prints every constant with its source.")
        return 0
    machine = load_machine(parsed.name, parsed.set or [])
    if parsed.toml:
        # A program must not seem to be for the preset when it is for something else.
        name = f"{machine.name}-changed" if parsed.set else machine.name
        print(machine_toml(machine, name), end="")
        return 0
    if parsed.json:
        print(json.dumps(constants(machine), indent=1))
        return 0
    out.print(f"[bold]{escape(machine.name)}[/]: {escape(machine.description)}")
    out.print(
        f"peak {si(machine.peak_flops, 'FLOP/s')} "
        f"({machine.peak_macs_per_cycle:,} multiply-adds per cycle), "
        f"ridge {machine.peak_flops / machine.dram.bandwidth:,.0f} FLOP/B"
    )
    rows = [
        (key, _value(constant.value), escape(constant.unit), constant.label,
         escape(constant.source))
        for key, constant in machine.constants.items()
    ]  # fmt: skip
    out.print(table("constants", ("key", "value", "<unit", "<label", "<source"), rows))
    for label, meaning in LABELS.items():
        out.print(f"{label}  {escape(meaning)}")
    return 0


def constants(machine: Any) -> dict[str, Any]:
    """Every constant of a machine with its provenance, as JSON can hold it."""
    return {key: asdict(constant) for key, constant in machine.constants.items()}


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{x:g}:{y:g}" for x, y in value)
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}"
