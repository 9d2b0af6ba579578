"""Loop nests written by hand, and a slow interpreter that walks through their buffers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ssft.compiler.backends.hw.graph import GraphOp, LoopNest, Operand, Origin
from ssft.compiler.backends.hw.views import Buffer, View
from ssft.hwmodel.isa import MicroOp

ORIGIN = Origin("test", "forward")
OPERATIONS = {
    "addf": np.add,
    "subf": np.subtract,
    "mulf": np.multiply,
    "addi": np.add,
    "muli": np.multiply,
}


def buffer(name: str, elements: int, kind: str = "value", dtype: str = "f32") -> Buffer:
    """A buffer without a shape."""
    return Buffer(name, dtype, elements, kind=kind)  # type: ignore[arg-type]


def operand(
    memory: Buffer,
    *strides: int,
    offset: int = 0,
    initial: float | None = None,
    index: Sequence[View | None] = (),
) -> Operand:
    """How a nest walks through a buffer."""
    return Operand(memory, offset, strides, tuple(index) or (None,) * len(strides), initial)


def op(name: str, *operands: int, immediate: int | float | None = None) -> MicroOp:
    """A micro-operation on f32 (a position's on i64)."""
    dtype = "i64" if name in ("index", "addi", "muli") else "f32"
    return MicroOp(name, operands, dtype, immediate)


def nest(
    extents: Sequence[int],
    inputs: Sequence[Operand],
    outputs: Sequence[Operand],
    code: Sequence[MicroOp],
    results: Sequence[int],
    summed: Sequence[int] = (),
    **options: object,
) -> LoopNest:
    """A nest; `summed` are the loops that it reduces over."""
    reduction = tuple(loop in summed for loop in range(len(extents)))
    return LoopNest(
        ORIGIN,
        tuple(extents),
        reduction,
        list(inputs),
        list(outputs),
        list(code),
        list(results),
        **options,  # type: ignore[arg-type]
    )


def double(source: Buffer, target: Buffer) -> LoopNest:
    """``target[i] = source[i] + source[i]`` over all elements."""
    walks = [operand(source, 1)], [operand(target, 1)]
    return nest([source.elements], *walks, [op("addf", 0, 0)], [2])


def total(source: Buffer, target: Buffer) -> LoopNest:
    """``target[0] = sum of source``."""
    start = operand(target, 0, initial=0.0)
    walks = [operand(source, 1)], [start]
    return nest([source.elements], *walks, [op("addf", 0, 1)], [2], summed=[0])


class Memory:
    """The contents of buffers; what was never written is not a number."""

    def __init__(self) -> None:
        self._arrays: dict[int, np.ndarray] = {}

    def __getitem__(self, memory: Buffer) -> np.ndarray:
        if id(memory) not in self._arrays:
            self._arrays[id(memory)] = np.full(memory.elements, np.nan)
        return self._arrays[id(memory)]

    def run(self, ops: Sequence[GraphOp]) -> None:
        """Runs nests one after the other, iteration by iteration."""
        for one in ops:
            assert isinstance(one, LoopNest)
            self._run(one)

    def _run(self, loops: LoopNest) -> None:
        started: set[tuple[int, int]] = set()
        for position in itertools.product(*map(range, loops.extents)):
            registers = [self[o.buffer][self._place(o, position)] for o in loops.inputs]
            for number, output in enumerate(loops.outputs):
                place = self._place(output, position)
                if output.initial is not None and (number, place) not in started:
                    started.add((number, place))
                    self[output.buffer][place] = output.initial
                registers.append(self[output.buffer][place])
            for one in loops.code:
                registers.append(self._value(loops, one, registers, position))
            for output, register in zip(loops.outputs, loops.results, strict=True):
                self[output.buffer][self._place(output, position)] = registers[register]

    def _value(
        self, loops: LoopNest, one: MicroOp, registers: list, position: tuple[int, ...]
    ) -> float:
        if one.name == "constant":
            return one.immediate  # type: ignore[return-value]
        if one.name == "index":
            return position[one.immediate]  # type: ignore[index]
        if one.name == "extract":
            lookup = loops.lookups[one.immediate]  # type: ignore[index]
            picked = [
                registers[register] if loop is None else position[loop]
                for register, loop in zip(one.operands, lookup.loops, strict=True)
            ]
            terms = zip(picked, lookup.strides, strict=True)
            return self[lookup.buffer][lookup.offset + sum(int(i) * s for i, s in terms)]
        return OPERATIONS[one.name](*(registers[r] for r in one.operands))

    def _place(self, walk: Operand, position: tuple[int, ...]) -> int:
        place = walk.offset
        for index, stride, view in zip(position, walk.strides, walk.index, strict=True):
            if view is not None:
                (factor,) = view.dims[0]
                index = int(self[view.buffer][view.offset + index * factor.stride])
            place += index * stride
        return place
