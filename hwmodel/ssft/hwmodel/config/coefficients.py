"""Energy coefficients of a machine (`Machine.energy`), in joules and watts."""

from __future__ import annotations

from ssft.hwmodel.config.fields import Section, non_negative


class MacEnergy(Section):
    """What one multiply-add costs: the arithmetic by format, and what every format needs."""

    bf16: float = non_negative("J/MAC", "bf16 product, f32 accumulation")
    f32: float = non_negative("J/MAC", "f32 product, f32 accumulation")
    fixed20: float = non_negative("J/MAC", "20-bit fixed-point product and accumulation")
    fifo: float = non_negative("J/MAC", "operand registers and FIFOs of a lane")
    accumulator: float = non_negative("J/MAC", "reading and writing the accumulator")
    control: float = non_negative("J/MAC", "dataflow control of a PE")


class ScratchpadEnergy(Section):
    """Energy of a byte of a bank: ``coefficient * (bank / 1 MiB) ** exponent``.

    A bank has ``scratchpad.bytes / scratchpad.banks``; the way to it is that of `noc`.
    """

    read: float = non_negative("J/B", "reading a byte of a bank of 1 MiB")
    write: float = non_negative("J/B", "writing a byte of a bank of 1 MiB")
    exponent: float = non_negative("1", "growth with the size of the bank")


class NocEnergy(Section):
    """Wires between scratchpad and units."""

    wire: float = non_negative("J/bit/mm", "moving a bit by a millimetre")
    distance: float = non_negative("mm", "average way between scratchpad and unit")


class DramEnergy(Section):
    """DRAM devices, all of them together."""

    activate: float = non_negative("J/activate", "opening and closing a page")
    core: float = non_negative("J/bit", "moving a bit between page and pins")
    io: float = non_negative("J/bit", "driving a bit over the interface")
    background: float = non_negative("W", "standby and refresh, whatever the traffic")


class VectorEnergy(Section):
    """Vector, row-update and index unit, a micro-operation on one element."""

    operation: float = non_negative("J/op", "addition, multiplication, comparison, conversion")
    special: float = non_negative("J/op", "exponential, division, square root and the like")


class CommandEnergy(Section):
    """The command processor."""

    issue: float = non_negative("J/command", "fetching, decoding and handing out a command")


class Leakage(Section):
    """Leakage by unit, whole chip; it flows whether the unit works or not."""

    tensor: float = non_negative("W", "MAC lanes with their FIFOs")
    vector: float = non_negative("W", "vector unit")
    update: float = non_negative("W", "row-update unit")
    index: float = non_negative("W", "index unit")
    dma: float = non_negative("W", "DMA units")
    control: float = non_negative("W", "command processor and dataflow control")
    scratchpad: float = non_negative("W", "scratchpad")


class Energy(Section):
    """All energy coefficients."""

    mac: MacEnergy
    scratchpad: ScratchpadEnergy
    noc: NocEnergy
    dram: DramEnergy
    vector: VectorEnergy
    command: CommandEnergy
    leakage: Leakage
