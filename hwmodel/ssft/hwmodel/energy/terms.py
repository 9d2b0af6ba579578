"""The terms of a run's energy: which counter each coefficient of a machine multiplies.

Model: hardware energy is linear in event counts (Horowitz, ISSCC 2014; Accelergy, ICCAD 2019), plus
leakage and DRAM standby, which flow for as long as the run takes. Lanes whose operands are padding
are gated: they cost no arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ssft.hwmodel.config import Machine

BITS = 8


@dataclass(frozen=True, slots=True)
class Term:
    """One coefficient's part: `quantity` times `coefficient` (J per `unit`, or W).

    `quantity` has an entry for each phase, or whatever else the term is split by.

    `key` is the machine's constant. `coefficient` may hold further factors of the machine, such as
    the growth of scratchpad energy with capacity; it is 0 whenever the constant is.
    """

    component: str
    key: str
    unit: str
    coefficient: float
    quantity: tuple[float, ...]

    @property
    def joules(self) -> float:
        """Energy of the term in J."""
        return self.coefficient * sum(self.quantity)

    @property
    def parts(self) -> list[float]:
        """Energy of the term in J, by phase."""
        return [self.coefficient * quantity for quantity in self.quantity]


def event_terms(machine: Machine, count: Callable[[str], list[int]]) -> Iterator[Term]:
    """Terms of things that happen; `count` gives a counter by phase, or by something else."""
    mac, dram, vector = machine.energy.mac, machine.energy.dram, machine.energy.vector
    bf16, f32 = count("bf16_macs"), count("f32_macs")
    macs = _sum(bf16, f32)
    read, written = count("spm_read_bytes"), count("spm_written_bytes")
    bits = [BITS * moved for moved in count("dram_moved_bytes")]
    multiplier = machine.tensor.multiplier
    rows = (
        ("mac", f"mac.{multiplier}", "MAC", machine.mac_energy("bf16"), bf16),
        ("mac", "mac.f32", "MAC", mac.f32, f32),
        ("mac", "mac.fifo", "MAC", mac.fifo, macs),
        ("mac", "mac.accumulator", "MAC", mac.accumulator, macs),
        ("mac", "mac.control", "MAC", mac.control, macs),
        ("scratchpad", "scratchpad.read", "B", machine.scratchpad_read_energy, read),
        ("scratchpad", "scratchpad.write", "B", machine.scratchpad_write_energy, written),
        ("noc", "noc.wire", "B", machine.noc_energy, _sum(read, written)),
        ("dram", "dram.activate", "activate", dram.activate, count("dram_activates")),
        ("dram", "dram.core", "bit", dram.core, bits),
        ("dram", "dram.io", "bit", dram.io, bits),
        ("vector", "vector.operation", "op", vector.operation, count("vector_operations")),
        ("vector", "vector.special", "op", vector.special, count("special_operations")),
        ("command", "command.issue", "command", machine.energy.command.issue, count("commands")),
    )  # fmt: skip
    for component, key, unit, coefficient, quantity in rows:
        yield Term(component, f"energy.{key}", unit, coefficient, tuple(quantity))


def time_terms(machine: Machine, phase_seconds: tuple[float, ...]) -> Iterator[Term]:
    """Terms of powers that flow all the time."""
    background = machine.energy.dram.background
    yield Term("dram_background", "energy.dram.background", "s", background, phase_seconds)
    leakage = machine.energy.leakage
    for unit in type(leakage).model_fields:
        watts = getattr(leakage, unit)
        yield Term("leakage", f"energy.leakage.{unit}", "s", watts, phase_seconds)


def _sum(left: list[int], right: list[int]) -> list[int]:
    return [a + b for a, b in zip(left, right, strict=True)]
