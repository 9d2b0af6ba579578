"""Is each entry of a program's tables well-formed by itself?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

from ssft.hwmodel.isa.contraction import Contraction
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.isa.microprogram import Access, MicroProgram, Nest
from ssft.hwmodel.isa.program import DramBuffer, Program, SpmSlot

Span = tuple[int, int]
"""First byte or element and the one after the last, relative to where an operand starts."""


class Memory(Protocol):
    """A memory of a machine."""

    @property
    def bytes(self) -> int:
        """Its size."""
        ...


class MachineLike(Protocol):
    """What a check has to know of a machine."""

    @property
    def scratchpad(self) -> Memory:
        """The scratchpad."""
        ...

    @property
    def dram(self) -> Memory:
        """The DRAM."""
        ...


def span(extents: Sequence[int], strides: Sequence[int], offset: int = 0) -> Span:
    """The elements that a walk through a loop nest touches; empty if it has no iterations."""
    if 0 in extents:
        return 0, 0
    reaches = [(extent - 1) * stride for extent, stride in zip(extents, strides, strict=True)]
    first = offset + sum(reach for reach in reaches if reach < 0)
    return first, offset + sum(reach for reach in reaches if reach > 0) + 1


def table_problems(program: Program, machine: MachineLike) -> Iterator[str]:
    """What is wrong with the tables of a program."""
    for number, contraction in enumerate(program.contractions):
        for problem in contraction_problems(contraction):
            yield f"contraction {number}: {problem}"
    for number, micro_program in enumerate(program.micro_programs):
        for problem in micro_program_problems(micro_program):
            yield f"micro-program {number} ({micro_program.kind}): {problem}"
    for buffer in program.dram:
        for problem in _buffer_problems(buffer, machine.dram.bytes):
            yield f"buffer '{buffer.name}': {problem}"
    for slot in program.spm:
        for problem in _spm_slot_problems(slot, machine.scratchpad.bytes):
            yield f"slot '{slot.name}': {problem}"
    for name, memory in (("dram_bytes", machine.dram), ("spm_bytes", machine.scratchpad)):
        if getattr(program, name) > memory.bytes:
            yield f"'{name}' is {getattr(program, name)}, but the machine has {memory.bytes}"


def contraction_problems(contraction: Contraction) -> Iterator[str]:
    """What is wrong with a contraction."""
    for number, dim in enumerate(contraction.dims):
        if dim.extent < 1:
            yield f"dimension {number} has extent {dim.extent}, expected at least 1"
        if dim.kind == "k" and dim.c:
            yield f"dimension {number} is summed over, but moves c by {dim.c}"
    rows, columns = contraction.lane_tile
    if rows < 1 or columns < 1:
        yield f"its lane tile is {rows} by {columns}, expected at least 1 by 1"
    if (indexed := contraction.indexed) is not None:
        if not 0 <= indexed < len(contraction.dims):
            yield f"its indexed dimension is {indexed}, but it has {len(contraction.dims)}"
        elif (kind := contraction.dims[indexed].kind) not in ("m", "n"):
            yield f"its indexed dimension is of kind {kind}, expected m or n"


def micro_program_problems(program: MicroProgram) -> Iterator[str]:
    """What is wrong with a micro-program."""
    temporary = False
    for number, slot in enumerate(program.slots):
        if slot.elements < 0:
            yield f"slot {number} has {slot.elements} elements"
        if temporary and slot.access != "temporary":
            yield f"slot {number} is an operand, but comes after a temporary"
        temporary = temporary or slot.access == "temporary"
    for number, nest in enumerate(program.nests):
        for problem in _nest_problems(program, nest):
            yield f"nest {number}: {problem}"


def _nest_problems(program: MicroProgram, nest: Nest) -> Iterator[str]:
    rank = len(nest.extents)
    if any(extent < 0 for extent in nest.extents):
        yield f"its extents are {list(nest.extents)}, expected none below 0"
    if len(nest.reduction) != rank:
        yield f"it has {rank} dimensions, but says of {len(nest.reduction)} whether they reduce"
    if len(nest.origins) not in (0, rank):
        yield f"it has {rank} dimensions, but origins of {len(nest.origins)}"
    if any(divisor < 1 or modulus < 1 for divisor, modulus in nest.origins):
        yield "its origins have a divisor or modulus below 1"
    for kind, accesses in (("input", nest.inputs), ("output", nest.outputs)):
        for number, access in enumerate(accesses):
            for problem in _access_problems(program, nest, access):
                yield f"{kind} {number} {problem}"
            if kind == "output" and _access_of(program, access) == "in":
                yield f"output {number} writes slot {access.slot}, which is for reading"
    yield from _code_problems(program, nest)


def _access_of(program: MicroProgram, access: Access) -> str:
    return program.slots[access.slot].access if 0 <= access.slot < len(program.slots) else ""


def _access_problems(program: MicroProgram, nest: Nest, access: Access) -> Iterator[str]:
    if not 0 <= access.slot < len(program.slots):
        yield f"is of slot {access.slot}, but there are {len(program.slots)}"
        return
    if len(access.strides) != len(nest.extents):
        yield f"has {len(access.strides)} strides for {len(nest.extents)} dimensions"
        return
    first, end = span(nest.extents, access.strides, access.offset)
    elements = program.slots[access.slot].elements
    if first < 0 or end > elements:
        yield (
            f"walks over elements {first} to {end - 1} of slot {access.slot}, which has {elements}"
        )


def _code_problems(program: MicroProgram, nest: Nest) -> Iterator[str]:
    register = len(nest.inputs) + len(nest.outputs)
    for op in nest.code:
        for operand in op.operands:
            if not 0 <= operand < register:
                yield f"register %{register} ({op.name}) uses %{operand}, which comes later"
        bound = {"index": len(nest.extents), "extract": len(program.slots)}.get(op.name)
        if bound is not None and (
            not isinstance(op.immediate, int) or not 0 <= op.immediate < bound
        ):
            what = "dimension" if op.name == "index" else "slot"
            yield f"register %{register} ({op.name}) is of {what} {op.immediate} of {bound}"
        register += 1
    if len(nest.results) != len(nest.outputs):
        yield f"it has {len(nest.outputs)} outputs, but {len(nest.results)} results"
    for result in nest.results:
        if not 0 <= result < register:
            yield f"its result %{result} is not one of its {register} registers"


def _buffer_problems(buffer: DramBuffer, memory: int) -> Iterator[str]:
    if buffer.address < 0 or buffer.bytes < 0 or buffer.address + buffer.bytes > memory:
        yield _outside(buffer.address, buffer.bytes, memory, "DRAM")
    needed = math.prod(buffer.shape) * ELEMENT_BYTES[buffer.dtype]
    if buffer.bytes != needed:
        shape = "x".join(map(str, (*buffer.shape, buffer.dtype)))
        yield f"it has {buffer.bytes} bytes, but {shape} takes {needed}"
    if buffer.order and sorted(buffer.order) != list(range(len(buffer.shape))):
        yield f"its order {list(buffer.order)} is none of its {len(buffer.shape)} dimensions"
    if buffer.data is not None and len(buffer.data) != buffer.bytes:
        yield f"it has {buffer.bytes} bytes, but contents of {len(buffer.data)}"


def _spm_slot_problems(slot: SpmSlot, memory: int) -> Iterator[str]:
    if slot.address < 0 or slot.bytes < 0 or slot.address + slot.bytes > memory:
        yield _outside(slot.address, slot.bytes, memory, "the scratchpad")
    if slot.buffers < 1 or slot.bytes % slot.buffers:
        yield f"its {slot.bytes} bytes cannot be cut into {slot.buffers} buffers"
    if slot.first > slot.last:
        yield f"it lives from kernel {slot.first} to kernel {slot.last}"


def _outside(address: int, size: int, memory: int, name: str) -> str:
    return f"bytes {address:#x} to {address + size:#x} are not all in {name} of {memory} bytes"
