"""Entries of a program's tables as operations of the ``ssft_hw`` dialect, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ssft.compiler.backends.hw.dialect.attributes import Attributes, dtype, optional, value
from ssft.dialects._mlir import ir
from ssft.dialects.ssft_hw import (
    ArgumentsOp,
    BufferOp,
    ContractionOp,
    MicroOpOp,
    MicroProgramOp,
    NestOp,
    SlotOp,
    SourceOpOp,
)
from ssft.hwmodel.isa import (
    Access,
    Contraction,
    Dim,
    DramBuffer,
    MicroOp,
    MicroProgram,
    Nest,
    Slot,
    SourceOp,
    SpmSlot,
)

Made = dict[str, ir.Attribute]


def create(name: str, attributes: Made, block: ir.Block, regions: int = 0) -> ir.Operation:
    """Makes an operation at the end of a block."""
    with ir.InsertionPoint(block):
        return ir.Operation.create(name, attributes=attributes, regions=regions)


def operations_of(op: Any) -> Iterator[Any]:
    """The operations in the region of an operation, which need not have a block."""
    for block in op.regions[0].blocks:
        yield from block.operations


def _write_source_op(make: Attributes, block: ir.Block, number: int, op: SourceOp) -> None:
    attributes: Made = {
        "number": make.integer(number),
        "label": make.string(op.name),
        "kind": make.string(op.kind),
        "phase": make.string(op.phase),
        "source": make.string(op.location),
        "macs": make.integer(op.macs),
        "masked_macs": make.integer(op.masked_macs),
    }
    create(SourceOpOp.OPERATION_NAME, attributes, block)


def _read_source_op(op: Any) -> SourceOp:
    get = op.attributes
    return SourceOp(
        name=get["label"].value,
        kind=get["kind"].value,
        phase=get["phase"].value,
        location=get["source"].value,
        macs=get["macs"].value,
        masked_macs=get["masked_macs"].value,
    )


def _write_contraction(make: Attributes, block: ir.Block, number: int, entry: Contraction) -> None:
    dims = [
        ir.DictAttr.get(
            {
                "kind": make.string(dim.kind),
                **{name: make.integer(getattr(dim, name)) for name in ("extent", "a", "b", "c")},
            }
        )
        for dim in entry.dims
    ]
    attributes: Made = {
        "number": make.integer(number),
        "dims": ir.ArrayAttr.get(dims),
        **{name: make.dtype(getattr(entry, name)) for name in ("a_dtype", "b_dtype", "c_dtype")},
        "multiply": make.string(entry.multiply),
        "lane_tile": make.integers(entry.lane_tile),
        **make.optional(make.integer, indexed=entry.indexed),
    }
    create(ContractionOp.OPERATION_NAME, attributes, block)


def _read_contraction(op: Any) -> Contraction:
    get = op.attributes
    rows, columns = get["lane_tile"]
    return Contraction(
        dims=tuple(
            Dim(*(dim[name].value for name in ("kind", "extent", "a", "b", "c")))
            for dim in get["dims"]
        ),
        a_dtype=dtype(get["a_dtype"]),
        b_dtype=dtype(get["b_dtype"]),
        c_dtype=dtype(get["c_dtype"]),
        multiply=get["multiply"].value,
        lane_tile=(rows, columns),
        indexed=optional(get, "indexed", value),
    )


def _write_micro_program(
    make: Attributes, block: ir.Block, number: int, program: MicroProgram
) -> None:
    slots = [
        ir.DictAttr.get(
            {
                "dtype": make.dtype(slot.dtype),
                "elements": make.integer(slot.elements),
                "access": make.string(slot.access),
            }
        )
        for slot in program.slots
    ]
    attributes: Made = {
        "number": make.integer(number),
        "kind": make.string(program.kind),
        "slots": ir.ArrayAttr.get(slots),
    }
    op = create(MicroProgramOp.OPERATION_NAME, attributes, block, regions=1)
    body = op.regions[0].blocks.append()
    for nest in program.nests:
        _write_nest(make, body, nest)


def _read_micro_program(op: Any) -> MicroProgram:
    slots = tuple(
        Slot(dtype(slot["dtype"]), slot["elements"].value, slot["access"].value)
        for slot in op.attributes["slots"]
    )
    nests = tuple(_read_nest(nest) for nest in operations_of(op))
    return MicroProgram(op.attributes["kind"].value, slots, nests)


def _write_nest(make: Attributes, block: ir.Block, nest: Nest) -> None:
    def accesses(some: tuple[Access, ...]) -> ir.ArrayAttr:
        return ir.ArrayAttr.get(
            [
                ir.DictAttr.get(
                    {
                        "slot": make.integer(access.slot),
                        "offset": make.integer(access.offset),
                        "strides": make.integers(access.strides),
                        **make.optional(make.scalar, initial=access.initial),
                    }
                )
                for access in some
            ]
        )

    attributes: Made = {
        "extents": make.integers(nest.extents),
        "reduction": ir.DenseBoolArrayAttr.get([bool(flag) for flag in nest.reduction]),
        "inputs": accesses(nest.inputs),
        "outputs": accesses(nest.outputs),
        "stored": make.integers(nest.results),
        "origins": ir.ArrayAttr.get([make.integers(pair) for pair in nest.origins]),
    }
    op = create(NestOp.OPERATION_NAME, attributes, block, regions=1)
    body = op.regions[0].blocks.append()
    for micro_op in nest.code:
        code: Made = {
            "function": make.string(micro_op.name),
            "registers": make.integers(micro_op.operands),
            "dtype": make.dtype(micro_op.dtype),
            **make.optional(make.immediate, immediate=micro_op.immediate),
        }
        create(MicroOpOp.OPERATION_NAME, code, body)


def _read_nest(op: Any) -> Nest:
    get = op.attributes
    return Nest(
        extents=tuple(get["extents"]),
        reduction=tuple(get["reduction"]),
        inputs=tuple(map(_read_access, get["inputs"])),
        outputs=tuple(map(_read_access, get["outputs"])),
        code=tuple(_read_micro_op(inner) for inner in operations_of(op)),
        results=tuple(get["stored"]),
        origins=tuple((divisor, modulus) for divisor, modulus in get["origins"]),
    )


def _read_access(access: Any) -> Access:
    strides = tuple(access["strides"])
    initial = optional(access, "initial", value)
    return Access(access["slot"].value, access["offset"].value, strides, initial)


def _read_micro_op(op: Any) -> MicroOp:
    get = op.attributes
    immediate = optional(get, "immediate", value)
    registers = tuple(get["registers"])
    return MicroOp(get["function"].value, registers, dtype(get["dtype"]), immediate)


def _write_arguments(
    make: Attributes, block: ir.Block, number: int, addresses: tuple[int, ...]
) -> None:
    attributes: Made = {"number": make.integer(number), "addresses": make.integers(addresses)}
    create(ArgumentsOp.OPERATION_NAME, attributes, block)


def _read_arguments(op: Any) -> tuple[int, ...]:
    return tuple(op.attributes["addresses"])


_OPTIONAL = ("argument", "result", "mirror", "first", "last")


def _write_buffer(make: Attributes, block: ir.Block, number: int, buffer: DramBuffer) -> None:
    i8 = ir.IntegerType.get_signless(8)
    attributes: Made = {
        "number": make.integer(number),
        "label": make.string(buffer.name),
        "purpose": make.string(buffer.purpose),
        "address": make.integer(buffer.address),
        "bytes": make.integer(buffer.bytes),
        "dtype": make.dtype(buffer.dtype),
        "shape": make.integers(buffer.shape),
        "order": make.integers(buffer.order),
        **make.optional(make.integer, **{name: getattr(buffer, name) for name in _OPTIONAL}),
        **make.optional(lambda data: ir.DenseElementsAttr.get(data, type=i8), data=buffer.data),
    }
    create(BufferOp.OPERATION_NAME, attributes, block)


def _read_buffer(op: Any) -> DramBuffer:
    get = op.attributes
    return DramBuffer(
        name=get["label"].value,
        address=get["address"].value,
        bytes=get["bytes"].value,
        dtype=dtype(get["dtype"]),
        shape=tuple(get["shape"]),
        purpose=get["purpose"].value,
        order=tuple(get["order"]),
        data=optional(get, "data", lambda data: bytes(memoryview(data))),
        **{name: optional(get, name, value) for name in _OPTIONAL},
    )


_SLOT_NUMBERS = ("address", "bytes", "first", "last", "buffers")


def _write_spm_slot(make: Attributes, block: ir.Block, number: int, slot: SpmSlot) -> None:
    attributes: Made = {
        "number": make.integer(number),
        "label": make.string(slot.name),
        "purpose": make.string(slot.purpose),
        **{name: make.integer(getattr(slot, name)) for name in _SLOT_NUMBERS},
    }
    create(SlotOp.OPERATION_NAME, attributes, block)


def _read_spm_slot(op: Any) -> SpmSlot:
    get = op.attributes
    numbers = {name: get[name].value for name in _SLOT_NUMBERS}
    return SpmSlot(get["label"].value, purpose=get["purpose"].value, **numbers)


WRITERS: dict[str, Callable[[Attributes, ir.Block, int, Any], None]] = {
    "operations": _write_source_op,
    "contractions": _write_contraction,
    "micro_programs": _write_micro_program,
    "arguments": _write_arguments,
    "dram": _write_buffer,
    "spm": _write_spm_slot,
}
"""How to write an entry of each of a program's tables."""

READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    SourceOpOp.OPERATION_NAME: ("operations", _read_source_op),
    ContractionOp.OPERATION_NAME: ("contractions", _read_contraction),
    MicroProgramOp.OPERATION_NAME: ("micro_programs", _read_micro_program),
    ArgumentsOp.OPERATION_NAME: ("arguments", _read_arguments),
    BufferOp.OPERATION_NAME: ("dram", _read_buffer),
    SlotOp.OPERATION_NAME: ("spm", _read_spm_slot),
}
"""For the name of an operation the table that it is an entry of, and how to read it."""
