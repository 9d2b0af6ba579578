"""The step as a list of operations on buffers, in plain Python: what the later stages work on.

Nothing here refers to MLIR, so nothing can go stale. Order is the plan's: an operation reads what
earlier ones wrote.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ssft.compiler.backends.hw.views import Buffer, View
from ssft.hwmodel.isa import DimKind, MicroOp, Phase


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation comes from: its name in the plan, phase, and the model's line.

    `recomputed`: it does work of the forward pass again. Where that is worth counting, it also has
    that pass's phase.
    """

    name: str
    phase: Phase
    location: str = ""
    recomputed: bool = False


@dataclass(slots=True)
class Operand:
    """A buffer as a loop nest walks through it: first element and stride per loop.

    `index` gives, per loop, the list that is looked up first; only DRAM operands have one.
    `initial`, on an output: what the accumulator starts from, instead of the buffer's contents.
    """

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]
    index: tuple[View | None, ...] = ()
    initial: int | float | None = None

    @property
    def indexed(self) -> bool:
        """Whether any loop looks up a list."""
        return any(view is not None for view in self.index)


@dataclass(slots=True)
class Lookup:
    """A tensor that code picks elements from (``tensor.extract``).

    Dimension ``d`` is addressed by register `MicroOp.operands[d]`, or, where ``loops[d]`` is a
    number, always by that loop's own index, so that it can be tiled along with it.
    """

    buffer: Buffer
    offset: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    loops: tuple[int | None, ...]


@dataclass(slots=True)
class LoopNest:
    """Straight-line code in a perfect loop nest: `linalg.generic` and everything like it.

    Registers are numbered as in `isa.Nest`, except that lookups are inputs of no register:
    ``extract`` has the lookup's number as immediate and one operand per dimension.
    `optimizer` is the number of states if this is an optimizer's update, else None.
    """

    origin: Origin
    extents: tuple[int, ...]
    reduction: tuple[bool, ...]
    inputs: list[Operand]
    outputs: list[Operand]
    code: list[MicroOp]
    results: list[int]
    lookups: list[Lookup] = field(default_factory=list)
    optimizer: int | None = None

    def accumulates(self, output: Operand, loops: int | None = None) -> bool:
        """Whether `output` adds up over some reduction; of the first `loops` loops if given."""
        walk = list(zip(self.extents, self.reduction, output.strides, strict=True))
        return any(reduced and not stride for _, reduced, stride in walk[:loops])

    @property
    def indexes(self) -> set[int]:
        """Loops whose index the code asks for."""
        return {int(op.immediate or 0) for op in self.code if op.name == "index"}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ContractionDim:
    """A loop of a contraction; `index` names the list that operand `indexed` ("a", "b") uses."""

    kind: DimKind
    extent: int
    a: int
    b: int
    c: int


@dataclass(slots=True)
class ContractionOp:
    """``c += a * b`` over `dims`. Views give each operand's buffer and first element.

    `index` is (the number of the dim, the list) if a dimension of a or b is gathered on chip, out
    of `source` positions.
    `accumulate`: c holds a value to add to.
    `masked_macs`: multiply-adds that the dense operation would have had on top.
    """

    origin: Origin
    dims: tuple[ContractionDim, ...]
    a: tuple[Buffer, int]
    b: tuple[Buffer, int]
    c: tuple[Buffer, int]
    index: tuple[int, View] | None = None
    source: int = 0
    accumulate: bool = False
    masked_macs: int = 0

    def extent(self, kind: DimKind) -> int:
        """Product of the extents of all dimensions of a kind."""
        return math.prod(d.extent for d in self.dims if d.kind == kind)

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return math.prod(d.extent for d in self.dims)


@dataclass(slots=True)
class RowLookup:
    """``out[i, :] = table[index[i], :]`` with a table in DRAM: an embedding.

    `index` is a contiguous list of `count` i64; a row has `row_elements`, `pitch` apart.
    """

    origin: Origin
    table: Buffer
    offset: int
    pitch: int
    row_elements: int
    index: View
    count: int
    out: Buffer


@dataclass(slots=True)
class ScatterAdd:
    """``out = target; out[index[i], :] += source[i, :]`` in order; `target` is zero or a copy."""

    origin: Origin
    out: Buffer
    rows: int
    row_elements: int
    source: Buffer
    source_offset: int
    index: View
    count: int


@dataclass(slots=True)
class Store:
    """Writes the elements of `source` to `target`, a region of an argument or a result."""

    origin: Origin
    source: View
    target: View


GraphOp = LoopNest | ContractionOp | RowLookup | ScatterAdd | Store


@dataclass(slots=True)
class Graph:
    """A step: its operations in order, its arguments' buffers, and its results.

    `results` are (result number, buffer) of results that update no argument.
    """

    ops: list[GraphOp]
    arguments: list[Buffer]
    results: list[tuple[int, Buffer]]
    buffers: list[Buffer]
