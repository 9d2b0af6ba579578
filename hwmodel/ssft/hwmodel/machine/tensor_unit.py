"""The tensor unit: contractions, in the arithmetic that `isa.contraction` documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import NO_LIST, Contraction, Dim, Gemm
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType
from ssft.hwmodel.machine import contraction_kernel as kernel
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.errors import OutOfBoundsError
from ssft.hwmodel.machine.footprints import Footprint, overlap
from ssft.hwmodel.machine.rounding import bf16_bits, round_to_bf16

Operand = Literal["a", "b", "c"]
_OPERANDS: tuple[Operand, ...] = ("a", "b", "c")
_Offsets = NDArray[np.int64]
_Lists = dict[int, NDArray[np.int64]]


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _offsets(dims: list[tuple[int, Dim]], operand: Operand, listed: _Lists) -> _Offsets:
    """Element offsets of all positions of some dimensions, row-major; `listed` replace ranges."""
    offsets = np.zeros(1, np.int64)
    for number, dim in dims:
        steps = listed.get(number, np.arange(dim.extent, dtype=np.int64))
        offsets = np.add.outer(offsets, steps * getattr(dim, operand)).ravel()
    return offsets


@dataclass(frozen=True, slots=True)
class _Shape:
    """A contraction prepared for the kernel: dimensions by what they move, offsets, footprints."""

    contraction: Contraction
    batch: list[tuple[int, Dim]]
    rows: list[tuple[int, Dim]]
    columns: list[tuple[int, Dim]]
    inner: list[tuple[int, Dim]]
    swapped: bool
    footprints: dict[Operand, Footprint]
    cache: dict[tuple[int, Operand], _Offsets] = field(default_factory=dict)

    def offsets(self, dims: list[tuple[int, Dim]], operand: Operand, listed: _Lists) -> _Offsets:
        """Element offsets of all positions of some of the dimensions."""
        if any(number in listed for number, _ in dims):
            return _offsets(dims, operand, listed)
        key = (id(dims), operand)
        if key not in self.cache:
            self.cache[key] = _offsets(dims, operand, {})
        return self.cache[key]


def _prepare(contraction: Contraction) -> _Shape:
    """Sorts dimensions by the operands that they move: a batch dimension may act as a row."""
    groups: dict[str, list[tuple[int, Dim]]] = {"batch": [], "m": [], "n": [], "k": []}
    for number, dim in enumerate(contraction.dims):
        if dim.kind == "k":
            if dim.c and dim.extent > 1:
                raise MachineError("a contraction's k dimension moves in the result")
            groups["k"].append((number, dim))
        elif dim.a and dim.b:
            groups["batch"].append((number, dim))
        else:
            groups["n" if dim.b else "m"].append((number, dim))
    if contraction.indexed is not None:
        dim = contraction.dims[contraction.indexed]
        if dim.kind not in ("m", "n") or (dim.b if dim.kind == "m" else dim.a):
            raise MachineError("a list selects along a dimension that is not m or n")
    for dtype in (contraction.a_dtype, contraction.b_dtype, contraction.c_dtype):
        if dtype not in ("bf16", "f32"):
            raise MachineError(f"the tensor unit has no {dtype} operands")
    footprints: dict[Operand, Footprint] = {
        name: _footprint(contraction, name) for name in _OPERANDS
    }
    result, size = footprints["c"], ELEMENT_BYTES[contraction.c_dtype]
    elements = contraction.macs // contraction.extent("k") if contraction.macs else 0
    if result.starts().size * result.run != elements * size:
        raise MachineError("a contraction writes an element of its result more than once")
    columns = np.prod([dim.extent for _, dim in groups["n"]], dtype=np.int64)
    rows = np.prod([dim.extent for _, dim in groups["m"]], dtype=np.int64)
    swapped = bool(columns < kernel.WIDTH and rows > columns)
    return _Shape(
        contraction, groups["batch"], groups["m"], groups["n"], groups["k"], swapped, footprints
    )


def _footprint(contraction: Contraction, operand: Operand) -> Footprint:
    size = ELEMENT_BYTES[getattr(contraction, f"{operand}_dtype")]
    dims = [(dim.extent, getattr(dim, operand) * size) for dim in contraction.dims]
    return Footprint(dims, size)


class TensorUnit:
    """Executes `Gemm` commands on scratchpad operands."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._shapes: dict[int, _Shape] = {}

    def gemm(self, command: Gemm) -> int:
        """Runs a contraction; returns its multiply-adds."""
        shape = self._shapes.get(command.shape)
        if shape is None:
            shape = _prepare(self.bus.program.contractions[command.shape])
            self._shapes[command.shape] = shape
        if not shape.contraction.macs:
            raise MachineError("a contraction has an empty dimension")
        listed = self._list(command, shape)
        self._check(command, shape, listed)
        a = self._operand(command.a, "a", shape, shape.rows, listed)
        b = self._operand(command.b, "b", shape, shape.columns, listed)
        self._multiply(command, shape, (b, a) if shape.swapped else (a, b))
        return shape.contraction.macs

    def _list(self, command: Gemm, shape: _Shape) -> _Lists:
        number = shape.contraction.indexed
        if (number is None) != (command.index == NO_LIST):
            raise MachineError("a list without an indexed dimension, or the other way round")
        if number is None:
            return {}
        dim = shape.contraction.dims[number]
        index = self.bus.read_list(command.index, dim.extent)
        if index.min() < 0:
            raise OutOfBoundsError(f"its list has the negative index {index.min()}")
        return {number: index}

    def _check(self, command: Gemm, shape: _Shape, listed: _Lists) -> None:
        """Bounds, races and definedness of the operands; the result overlaps neither input."""
        spm, bus = self.bus.spm, self.bus
        footprints = dict(shape.footprints)
        for number in listed:
            selected: Operand = "a" if shape.contraction.dims[number].kind == "m" else "b"
            footprints[selected] = self._selected(shape, selected, listed)
        bases: dict[Operand, int] = {"a": command.a, "b": command.b, "c": command.c}
        for operand in _OPERANDS:
            bus.aligned(
                bases[operand], ELEMENT_BYTES[getattr(shape.contraction, f"{operand}_dtype")]
            )
        for operand in ("a", "b"):
            if overlap(footprints[operand], bases[operand], footprints["c"], command.c):
                raise MachineError(f"the result overlaps operand {operand}")
            bus.read(spm, bases[operand], footprints[operand])
        if command.accumulate:
            bus.check(spm, command.c, footprints["c"])
        bus.write(spm, command.c, footprints["c"])

    def _selected(self, shape: _Shape, operand: Operand, listed: _Lists) -> Footprint:
        size = ELEMENT_BYTES[getattr(shape.contraction, f"{operand}_dtype")]
        dims = list(enumerate(shape.contraction.dims))
        return Footprint.listed(_offsets(dims, operand, listed) * size, size)

    def _operand(
        self,
        base: int,
        operand: Operand,
        shape: _Shape,
        outer: list[tuple[int, Dim]],
        listed: _Lists,
    ) -> NDArray[np.float32]:
        """Packs A or B as the left or right factor, rounded to the contraction's multiply type."""
        contraction = shape.contraction
        dtype: DType = getattr(contraction, f"{operand}_dtype")
        batch = shape.offsets(shape.batch, operand, listed)
        free = shape.offsets(outer, operand, listed)
        inner = shape.offsets(shape.inner, operand, {})
        depth = _ceil(inner.size, kernel.GROUP)
        word = np.uint32 if dtype == "bf16" else np.float32
        memory = self.bus.spm.words[ELEMENT_BYTES[dtype]]
        start = base // ELEMENT_BYTES[dtype]
        if (operand == "a") != shape.swapped:
            packed = np.zeros((batch.size, free.size, depth), word)
            kernel.pack_rows(memory, start, batch, free, inner, packed)
        else:
            panels = _ceil(free.size, kernel.WIDTH) // kernel.WIDTH
            packed = np.zeros((batch.size, panels, depth, kernel.WIDTH), word)
            kernel.pack_panels(memory, start, batch, inner, free, packed)
        if dtype == "bf16":
            return (packed.view(np.uint32) << 16).view(np.float32)
        factor = packed.view(np.float32)
        return round_to_bf16(factor) if contraction.multiply == "bf16" else factor

    def _multiply(self, command: Gemm, shape: _Shape, factors: tuple[NDArray, NDArray]) -> None:
        left, right = factors
        dtype = shape.contraction.c_dtype
        size = ELEMENT_BYTES[dtype]
        memory, start = self.bus.spm.words[size], command.c // size
        outer, inner = shape.rows, shape.columns
        if shape.swapped:
            outer, inner = inner, outer
        places = [shape.offsets(dims, "c", {}) for dims in (shape.batch, outer, inner)]
        sums = np.zeros((*left.shape[:2], right.shape[1] * kernel.WIDTH), np.float32)
        if command.accumulate and dtype == "bf16":
            words = np.zeros(sums.shape, np.uint32)
            kernel.pack_rows(memory, start, *places, words)
            sums = (words << 16).view(np.float32)
        elif command.accumulate:
            kernel.pack_rows(memory, start, *places, sums)
        kernel.multiply(left, right, sums)
        results = bf16_bits(sums) if dtype == "bf16" else sums
        kernel.unpack_rows(results, memory, start, *places)
