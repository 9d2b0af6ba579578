"""What a machine description consists of. Numbers are SI units, cycles and counts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import PrivateAttr, field_validator, model_validator

from ssft.hwmodel.config.coefficients import Energy
from ssft.hwmodel.config.curves import Curve, problem
from ssft.hwmodel.config.fields import (
    Section,
    choice,
    curve,
    fraction,
    non_negative,
    positive,
    switch,
)
from ssft.hwmodel.config.provenance import Constant
from ssft.hwmodel.config.suggestions import suggestion
from ssft.hwmodel.errors import MachineError

MEBIBYTE = 2**20
Engine = Literal["dot_lanes", "systolic_ws", "systolic_os"]


class Clock(Section):
    """One clock for the whole chip."""

    frequency: float = positive("Hz", "clock of all units")


class Process(Section):
    """The silicon."""

    node: float = positive("nm", "process node")
    area: float = positive("mm2", "die area")


class Tensor(Section):
    """The tensor unit. `rows` and `columns` belong to the systolic engines, lanes to the other."""

    engine: Engine = choice("dot_lanes, systolic_ws or systolic_os")
    multiplier: Literal["bf16", "fixed20"] = choice("what multiplies bf16 operands; energy only")
    pes: int = positive("PEs", "processing elements")
    lanes_per_pe: int = positive("lanes/PE", "lanes of a processing element")
    macs_per_lane: int = positive("MACs/lane/cycle", "products that a lane adds up in a cycle")
    accumulator_bytes_per_pe: int = positive("B", "one of a PE's two banks of accumulators")
    fill_cycles: int = non_negative("cycles", "from the first operands to the first sum")
    drain_cycles: int = non_negative("cycles", "writing back the last results")
    rows: int | None = positive("rows", "of the systolic array", default=None)
    columns: int | None = positive("columns", "of the systolic array", default=None)

    @model_validator(mode="after")
    def _array_has_extents(self) -> Self:
        if self.engine != "dot_lanes" and (self.rows is None or self.columns is None):
            raise ValueError(f"engine {self.engine} needs tensor.rows and tensor.columns")
        return self


class VectorUnit(Section):
    """The vector unit: micro-programs on many lanes."""

    lanes: int = positive("lanes", "elements worked on at a time")
    alus_per_lane: int = positive("ops/lane/cycle", "micro-operations that a lane starts per cycle")
    special_cost: int = positive("slots", "micro-operation slots of exp, log, tanh and the like")
    divide_cost: int = positive("slots", "micro-operation slots of division and square root")
    wide_cost: int = positive("slots", "factor of 64-bit micro-operations")
    startup_cycles: int = non_negative("cycles", "from the start of a command to its first result")


class UpdateUnit(Section):
    """The fused row-update unit."""

    lanes: int = positive("elements/cycle", "elements that the pipeline takes in per cycle")
    startup_cycles: int = non_negative("cycles", "depth of the pipeline")


class IndexUnit(Section):
    """The index unit: scores, counts and top-k."""

    lanes: int = positive("elements/cycle", "elements scanned per cycle")
    startup_cycles: int = non_negative("cycles", "from the start of a command to its first result")


class Scratchpad(Section):
    """The on-chip memory."""

    bytes: int = positive("B", "capacity")
    banks: int = positive("banks", "banks that can be accessed at a time")


class Efficiency(Section):
    """Fraction of the peak bandwidth that moved bytes get; `stream` caps the curves."""

    stream: float = fraction("long contiguous transfers")
    rows: Curve = curve("B", "runs at irregular ascending addresses, by run length")
    rows_unsorted: Curve = curve("B", "runs in any order, by run length")
    strided: Curve = curve("bursts", "runs at a pitch of less than a page, by bursts per page")
    page: Curve = curve("bursts", "random ascending bursts, by bursts per page")

    @field_validator("rows", "rows_unsorted", "strided", "page")
    @classmethod
    def _is_a_curve(cls, points: Curve) -> Curve:
        if (text := problem(points)) is not None:
            raise ValueError(text)
        return points


class Dram(Section):
    """The off-chip memory."""

    bytes: int = positive("B", "capacity")
    bandwidth: float = positive("B/s", "peak")
    latency: float = non_negative("s", "from the last byte's transfer to its visibility")
    burst_bytes: int = positive("B", "smallest transfer")
    page_bytes: int = positive("B", "bytes that one activate opens")
    efficiency: Efficiency


class CommandProcessor(Section):
    """The command processor."""

    issue_cycles: int = non_negative("cycles", "decoding a command")


class Baseline(Section):
    """Sparsity that a baseline accelerator is credited with in dense GEMMs; 0.9 skips 90 %."""

    enabled: bool = switch("whether cycles and energy of MACs are credited")
    activation_sparsity: float = non_negative("1", "of activations, forward GEMMs", lt=1)
    gradient_sparsity: float = non_negative("1", "of gradients, both backward GEMMs", lt=1)


class Machine(Section):
    """A machine. Made by `load_machine`; immutable, equal to any other with the same numbers."""

    name: str
    description: str
    clock: Clock
    process: Process
    tensor: Tensor
    vector: VectorUnit
    update: UpdateUnit
    index: IndexUnit
    scratchpad: Scratchpad
    dram: Dram
    command: CommandProcessor
    energy: Energy
    baseline: Baseline | None = None

    _constants: dict[str, Constant] = PrivateAttr(default_factory=dict)

    @property
    def constants(self) -> dict[str, Constant]:
        """Every constant, by dotted key, in the file's order."""
        return dict(self._constants)

    def provenance(self, key: str) -> Constant:
        """Value, unit, evidence label and source of a constant such as ``dram.bandwidth``."""
        if key not in self._constants:
            note = suggestion(key, self._constants)
            raise MachineError(f"machine '{self.name}' has no constant '{key}'", [note])
        return self._constants[key]

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-adds per cycle of the tensor unit's engine at full use."""
        tensor = self.tensor
        if tensor.rows is not None and tensor.columns is not None and tensor.engine != "dot_lanes":
            return tensor.rows * tensor.columns
        return tensor.pes * tensor.lanes_per_pe * tensor.macs_per_lane

    @property
    def peak_flops(self) -> float:
        """Floating-point operations per second of the tensor unit; a multiply-add is two."""
        return 2 * self.peak_macs_per_cycle * self.clock.frequency

    def seconds(self, cycles: float) -> float:
        """Duration of `cycles` in seconds."""
        return cycles / self.clock.frequency

    def mac_energy(self, multiply: Literal["bf16", "f32"]) -> float:
        """Arithmetic of one multiply-add in J, for operands of that format."""
        mac = self.energy.mac
        if multiply == "f32":
            return mac.f32
        return mac.bf16 if self.tensor.multiplier == "bf16" else mac.fixed20

    @property
    def scratchpad_read_energy(self) -> float:
        """Reading a byte of one bank of the scratchpad, in J/B; wires to it are the NoC's."""
        return self.energy.scratchpad.read * self._size_factor

    @property
    def scratchpad_write_energy(self) -> float:
        """Writing a byte of one bank of the scratchpad, in J/B; wires to it are the NoC's."""
        return self.energy.scratchpad.write * self._size_factor

    @property
    def noc_energy(self) -> float:
        """Moving a byte between scratchpad and a unit, in J/B."""
        return 8 * self.energy.noc.wire * self.energy.noc.distance

    @property
    def _size_factor(self) -> float:
        bank = self.scratchpad.bytes / self.scratchpad.banks
        return (bank / MEBIBYTE) ** self.energy.scratchpad.exponent
