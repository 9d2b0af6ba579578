r"""Programs as text: `to_text` writes assembly, `from_text` reads it.

The two are exact: ``encode(from_text(to_text(p))) == encode(p)``. A file looks like this::

    ssft-hw assembly 1
    machine "ssft-server"
    precision bf16
    memory dram_bytes=768 spm_bytes=896 spm_lower_bound=768

    operation 0 "layers.0.mlp" kind="matmul" phase=forward location="model.py:31" macs=512

    contraction 0 f32 * f32 -> f32 multiply=bf16 lane_tile=[4, 8] {
      m 4 a=16 b=0 c=8
      n 8 a=0 b=1 c=1
      k 16 a=1 b=8 c=0
    }

    micro_program 0 "relu" {
      slot 0 f32 elements=32 access=in
      slot 1 f32 elements=32 access=out
      nest extents=[32] reduction=[0] {
        input %0 slot=0 offset=0 strides=[1]
        output %1 slot=1 offset=0 strides=[1]
        %2 = constant 0.0 : f32
        %3 = maximumf %0, %2 : f32
        results %3
      }
    }

    arguments 0 [0x300, 0x380]
    buffer 0 "w" purpose=weight dtype=f32 shape=[16, 8] order=[0, 1] address=0x100 bytes=512 {
      000080bf…
    }
    spm 0 "x" purpose=input address=0x0 bytes=256 first=0 last=0

    queue tensor {
      gemm  a=0x0 b=0x100 c=0x300 shape=0  wait 0>=2 post 2  ; 0: layers.0.mlp matmul at model.py:31
    }

A comment goes from ``;`` to the end of the line. Fields come in any order, and those that have a
default may be left out. Entries of a table are numbered from 0; numbers are decimal or start with
``0x``; registers of a nest are numbered inputs first, then outputs, then micro-operations. The
lines of a buffer's block are its contents in hexadecimal. ``wait s>=v`` waits for semaphore s to
reach v, ``post s`` adds 1 to it, ``tag t`` names the source operation (0 if left out).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from ssft.hwmodel.isa.assembly_parser import from_text
from ssft.hwmodel.isa.assembly_tokens import AssemblyError, list_text, quoted
from ssft.hwmodel.isa.command_assembly import command_text
from ssft.hwmodel.isa.commands import Queue
from ssft.hwmodel.isa.contraction import Contraction
from ssft.hwmodel.isa.microprogram_assembly import micro_program_text
from ssft.hwmodel.isa.program import DramBuffer, Program, SourceOp, SpmSlot

__all__ = ["AssemblyError", "command_text", "from_text", "to_text"]

_DATA_BYTES_A_LINE = 32


def to_text(program: Program) -> str:
    """Returns a program as assembly, each command with its source operation as a comment.

    Raises `MachineError` if the name of a micro-operation is none.
    """
    sections = [
        _header(program),
        (line for n, op in enumerate(program.operations) for line in _operation(n, op)),
        (line for n, c in enumerate(program.contractions) for line in _contraction(n, c)),
        (line for n, p in enumerate(program.micro_programs) for line in micro_program_text(n, p)),
        (
            f"arguments {n} [{', '.join(map(hex, addresses))}]"
            for n, addresses in enumerate(program.arguments)
        ),
        (line for n, buffer in enumerate(program.dram) for line in _buffer(n, buffer)),
        (line for n, slot in enumerate(program.spm) for line in _spm_slot(n, slot)),
        *(_queue(program, queue) for queue in Queue),
    ]
    texts = ("\n".join(section) for section in sections)
    return "\n\n".join(text for text in texts if text) + "\n"


def _header(program: Program) -> Iterator[str]:
    yield "ssft-hw assembly 1"
    yield f"machine {quoted(program.machine)}"
    yield f"precision {program.precision}"
    yield (
        f"memory dram_bytes={program.dram_bytes} spm_bytes={program.spm_bytes} "
        f"spm_lower_bound={program.spm_lower_bound}"
    )


def _set_fields(instance: Any, *names: str) -> str:
    """``name=value`` of the fields that do not have their defaults."""
    defaults = {field.name: field.default for field in fields(instance)}
    parts = []
    for name in names:
        value = getattr(instance, name)
        if defaults[name] is not MISSING and value == defaults[name]:
            continue
        if isinstance(value, tuple):
            text = list_text(value)
        elif name in ("kind", "location"):
            text = quoted(value)
        elif isinstance(value, str):
            text = value
        else:
            text = hex(value) if name == "address" else str(int(value))
        parts.append(f"{name}={text}")
    return "".join(f" {part}" for part in parts)


def _operation(number: int, op: SourceOp) -> Iterator[str]:
    yield f"operation {number} {quoted(op.name)}" + _set_fields(
        op, "kind", "phase", "location", "macs", "masked_macs"
    )


def _contraction(number: int, contraction: Contraction) -> Iterator[str]:
    types = f"{contraction.a_dtype} * {contraction.b_dtype} -> {contraction.c_dtype}"
    options = f"multiply={contraction.multiply} lane_tile={list_text(contraction.lane_tile)}"
    indexed = "" if contraction.indexed is None else f" indexed={contraction.indexed}"
    yield f"contraction {number} {types} {options}{indexed} {{"
    for dim in contraction.dims:
        yield f"  {dim.kind} {dim.extent} a={dim.a} b={dim.b} c={dim.c}"
    yield "}"


def _buffer(number: int, buffer: DramBuffer) -> Iterator[str]:
    fields = ("purpose", "dtype", "shape", "order", "address", "bytes")
    line = f"buffer {number} {quoted(buffer.name)}" + _set_fields(
        buffer, *fields, "argument", "result", "mirror", "first", "last"
    )
    if buffer.data is None:
        yield line
        return
    yield f"{line} {{"
    for start in range(0, len(buffer.data), _DATA_BYTES_A_LINE):
        yield f"  {buffer.data[start : start + _DATA_BYTES_A_LINE].hex()}"
    yield "}"


def _spm_slot(number: int, slot: SpmSlot) -> Iterator[str]:
    yield f"spm {number} {quoted(slot.name)}" + _set_fields(
        slot, "purpose", "address", "bytes", "first", "last", "buffers"
    )


def _queue(program: Program, queue: Queue) -> Iterator[str]:
    commands = program.queues.get(queue, [])
    sources = [_source(op) for op in program.operations]
    yield f"queue {queue.name.lower()} {{"
    for position, command in enumerate(commands):
        source = sources[command.tag] if 0 <= command.tag < len(sources) else ""
        yield f"  {command_text(command)}  ; {position}:{source}"
    yield "}"


def _source(op: SourceOp) -> str:
    """A source operation in a comment, which must stay on its line."""
    parts = [op.name, op.kind, *(["at", op.location] if op.location else [])]
    return "".join(f" {quoted(part)[1:-1]}" for part in parts)
