"""`Program`: everything that a machine needs to run a step, and where each command came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ssft.hwmodel.isa.commands import Command, Queue
from ssft.hwmodel.isa.contraction import Contraction
from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.isa.microprogram import MicroProgram

Phase = Literal["forward", "input_gradient", "weight_gradient", "update"]
PHASES: tuple[Phase, ...] = ("forward", "input_gradient", "weight_gradient", "update")

Purpose = Literal[
    "weight", "activation", "checkpoint", "gradient", "optimizer", "index", "input", "output"
]
"""What a tensor is for; counters of the traffic of DRAM and scratchpad are kept by purpose.

``weight``: parameters, and copies of them in another type. ``activation``: what the forward pass
computes, at once or again, and constants. ``checkpoint``: of that, what the forward pass keeps so
that the backward pass can compute the rest again. ``gradient``: what the backward pass computes.
``optimizer``: states, learning rate and the like, and what updates compute on the way. ``index``:
integers that are looked up. ``input``: the batch. ``output``: results that update no argument.
"""
PURPOSES: tuple[Purpose, ...] = (
    "weight",
    "activation",
    "checkpoint",
    "gradient",
    "optimizer",
    "index",
    "input",
    "output",
)


@dataclass(frozen=True, slots=True)
class DramBuffer:
    """A tensor in DRAM: row-major, without padding, at byte `address`.

    `order` is the order in which the tensor's dimensions are laid out (major first); `shape` is the
    tensor's own shape. `argument` is the number of the step's argument that the buffer holds and
    `result` that of the step's result; None for others. `data` are the initial contents of
    constants. A buffer with a `mirror` holds a copy of the argument of that number, in another
    element type; the host fills both. A buffer that neither the host nor `data` fills is undefined
    at the start.

    A buffer with `first` and `last` is live between these operations (tags) only, and at other
    times its bytes are others'; one without has its bytes to itself.
    """

    name: str
    address: int
    bytes: int
    dtype: DType
    shape: tuple[int, ...]
    purpose: Purpose
    order: tuple[int, ...] = ()
    argument: int | None = None
    result: int | None = None
    data: bytes | None = None
    mirror: int | None = None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class SpmSlot:
    """A piece of the scratchpad, for memory maps and counters: `bytes` at `address`.

    `purpose` is that of the tensor of which it holds tiles, sums that are not complete included.
    It is live from the first command that writes it to the last that reads it; `first` and `last`
    are numbers of operations (tags), whose order is the program's. `buffers` > 1: the slot is cut
    into that many equal parts, used in turn (double buffering).
    """

    name: str
    address: int
    bytes: int
    purpose: Purpose
    first: int
    last: int
    buffers: int = 1


@dataclass(frozen=True, slots=True)
class SourceOp:
    """What a command's tag stands for: an operation of the plan, or several fused ones.

    `location` is the model's line, ``file:line``, or empty. `macs` are the multiply-adds of the
    operation; `masked_macs` those of dense weight gradients that masks saved, noted where some of
    the gradient is left, else at the product of the forward pass.
    """

    name: str
    kind: str
    phase: Phase
    location: str = ""
    macs: int = 0
    masked_macs: int = 0


@dataclass(slots=True)
class Program:
    """A scheduled step.

    `arguments` are the argument lists of vector commands: SPM byte addresses. `dram_bytes` and
    `spm_bytes` are the extents in use (highest address); `spm_lower_bound` is the largest sum of
    bytes live at a time, below which no assignment of addresses can get.
    """

    machine: str
    precision: Literal["bf16", "f32"]
    queues: dict[Queue, list[Command]] = field(default_factory=lambda: {q: [] for q in Queue})
    contractions: list[Contraction] = field(default_factory=list)
    micro_programs: list[MicroProgram] = field(default_factory=list)
    arguments: list[tuple[int, ...]] = field(default_factory=list)
    dram: list[DramBuffer] = field(default_factory=list)
    spm: list[SpmSlot] = field(default_factory=list)
    operations: list[SourceOp] = field(default_factory=list)
    dram_bytes: int = 0
    spm_bytes: int = 0
    spm_lower_bound: int = 0
