"""Puts loop nests of a kernel that run over the same loops into one.

Values that only the merged nest uses become registers: no row buffer, no further pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ssft.compiler.backends.hw.graph import Lookup, LoopNest, Operand
from ssft.compiler.backends.hw.kernels.form import Kernel, VectorKernel, kernel_buffers
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.hwmodel.isa import MicroOp

MAX_OPERATIONS = 64
"""Scalar operations in one nest: micro-programs should stay short enough to be read."""


def fuse_nests(kernels: Sequence[Kernel], kept: set[int]) -> None:
    """Merges nests within each vector kernel. `kept` are ids of buffers that belong to the host."""
    readers: dict[int, set[int]] = {}
    for number, kernel in enumerate(kernels):
        for buffer in kernel_buffers(kernel)[0]:
            readers.setdefault(id(buffer), set()).add(number)
    for number, kernel in enumerate(kernels):
        if not isinstance(kernel, VectorKernel) or len(kernel.nests) == 1:
            continue
        outside = {
            id(buffer)
            for buffer in kernel_buffers(kernel)[1]
            if buffer.kind != "value"
            or id(buffer) in kept
            or readers.get(id(buffer), set()) - {number}
        }
        _fuse(kernel, outside)


def _fuse(kernel: VectorKernel, outside: set[int]) -> None:
    fused: list[LoopNest] = []
    remaining = list(kernel.nests)
    while remaining:
        nest = remaining.pop(0)
        for place in range(len(fused) - 1, -1, -1):
            between = fused[place + 1 :]
            if _mergeable(fused[place], nest) and _independent(nest, between):
                later = [*between, *remaining]
                needed = outside | {id(b) for other in later for b in buffers_read(other)}
                fused[place] = _merge(fused[place], nest, needed)
                break
        else:
            fused.append(nest)
    kernel.nests = fused


def _independent(nest: LoopNest, between: Sequence[LoopNest]) -> bool:
    """Whether `nest` may run before the nests `between`."""
    read = {id(b) for b in buffers_read(nest)}
    written = {id(b) for b in buffers_written(nest)}
    for other in between:
        others = {id(b) for b in buffers_written(other)}
        if others & (read | written) or written & {id(b) for b in buffers_read(other)}:
            return False
    return True


def _mergeable(first: LoopNest, second: LoopNest) -> bool:
    """Whether the two can be one nest: the first is parallel, and hands over element by element."""
    if first.extents != second.extents or any(first.reduction):
        return False
    if len(first.code) + len(second.code) > MAX_OPERATIONS:
        return False
    made = {id(o.buffer): o for o in first.outputs}
    if len(made) != len(first.outputs):
        return False
    for operand in second.inputs:
        source = made.get(id(operand.buffer))
        if source is not None and not _same_walk(first, source, operand):
            return False
    for output in second.outputs:
        if id(output.buffer) in made or any(i.buffer is output.buffer for i in first.inputs):
            return False
    return not any(id(lookup.buffer) in made for lookup in second.lookups)


def _same_walk(nest: LoopNest, one: Operand, other: Operand) -> bool:
    strides = zip(nest.extents, one.strides, other.strides, strict=True)
    same = all(a == b for extent, a, b in strides if extent > 1)
    return same and one.offset == other.offset and not one.indexed and not other.indexed


def _merge(first: LoopNest, second: LoopNest, needed: set[int]) -> LoopNest:
    """The nest that runs the code of both; outputs of the first only where they are `needed`."""
    made = {id(o.buffer): r for o, r in zip(first.outputs, first.results, strict=True)}
    inputs = list(first.inputs)
    places: list[int | None] = []
    for operand in second.inputs:
        if id(operand.buffer) in made:
            places.append(None)
            continue
        same = [n for n, other in enumerate(inputs) if _equal(other, operand)]
        if not same:
            inputs.append(operand)
        places.append(same[0] if same else len(inputs) - 1)
    kept = [n for n, o in enumerate(first.outputs) if id(o.buffer) in needed]
    outputs = [*(first.outputs[n] for n in kept), *second.outputs]
    base = len(inputs) + len(outputs)
    one = {r: r for r in range(len(first.inputs))}
    one |= {len(first.inputs) + n: len(inputs) + k for k, n in enumerate(kept)}
    start = len(first.inputs) + len(first.outputs)
    one |= {start + n: base + n for n in range(len(first.code))}
    two: dict[int, int] = {}
    for register, (operand, place) in enumerate(zip(second.inputs, places, strict=True)):
        two[register] = one[made[id(operand.buffer)]] if place is None else place
    for number in range(len(second.outputs)):
        two[len(second.inputs) + number] = len(inputs) + len(kept) + number
    start = len(second.inputs) + len(second.outputs)
    two |= {start + n: base + len(first.code) + n for n in range(len(second.code))}
    code = [_renumbered(op, one, 0) for op in first.code]
    code += [_renumbered(op, two, len(first.lookups)) for op in second.code]
    results = [one[first.results[n]] for n in kept] + [two[r] for r in second.results]
    lookups: list[Lookup] = [*first.lookups, *second.lookups]
    return replace(
        second, inputs=inputs, outputs=outputs, code=code, results=results, lookups=lookups
    )


def _equal(one: Operand, other: Operand) -> bool:
    same = one.buffer is other.buffer and one.offset == other.offset
    return same and one.strides == other.strides and not one.indexed and not other.indexed


def _renumbered(op: MicroOp, registers: dict[int, int], lookups: int) -> MicroOp:
    operands = tuple(registers[r] if r >= 0 else r for r in op.operands)
    if op.name == "extract":
        return replace(op, operands=operands, immediate=int(op.immediate or 0) + lookups)  # type: ignore[arg-type]
    return replace(op, operands=operands)
