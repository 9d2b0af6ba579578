"""The bufferized step as a list of kernel calls on buffers, without IR handles.

After bufferization ``@step`` is straight-line code on memrefs with static layouts. A `Schedule`
says the same as plain data: which kernel runs on which bytes of which buffers, in which order. The
arena planner works on it, and executing a step is walking the list; nothing is compiled whose size
grows with the depth of the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Buffer:
    """Memory that kernels use.

    `kind` is ``"argument"`` or ``"result"`` (`number` says which, the caller owns it),
    ``"temporary"`` (lives in the arena) or ``"constant"`` (`data` holds its bytes).
    """

    kind: str
    bytes: int
    number: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Operand:
    """`bytes` bytes at `offset` of buffer number `buffer`; what lies between may have gaps."""

    buffer: int
    offset: int
    bytes: int
    written: bool

    def overlaps(self, other: Operand) -> bool:
        """Whether the two may share bytes."""
        return (
            self.buffer == other.buffer
            and self.offset < other.offset + other.bytes
            and other.offset < self.offset + self.bytes
        )


@dataclass(frozen=True)
class Kernel:
    """One function of the kernel module.

    `text` defines ``func.func private @<name>(operands…, %lo: index, %hi: index)``. If `extent` is
    not 0 the iterations ``lo <= i < hi`` of ``0 <= i < extent`` are independent and may run on
    several threads; `splits` gives the depth of that loop in each loop nest of an outlined kernel
    (see ``cpu-split-loops``). `globals` are module-level definitions that the text uses, by name.
    If `workspace` is not 0 the last operand is scratch memory of so many bytes. `flops` counts the
    floating-point operations of a matrix product, a multiply-add as two; other kernels have 0.
    """

    name: str
    text: str
    operands: int
    extent: int = 0
    splits: tuple[int, ...] = ()
    globals: dict[str, str] = field(default_factory=dict)
    workspace: int = 0
    flops: int = 0


@dataclass(frozen=True)
class Call:
    """One run of a kernel. `note` says where it comes from, for profiles."""

    kernel: str
    operands: tuple[Operand, ...]
    note: str = ""


@dataclass
class Schedule:
    """All calls of one step, in order, and what they use."""

    buffers: list[Buffer] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    kernels: dict[str, Kernel] = field(default_factory=dict)
