"""Programs as modules of the ``ssft_hw`` dialect, and back.

The two are exact: ``from_mlir(to_mlir(p)) == p``, also by way of text or bytecode. Commands carry
the locations of their source operations, for tools that show or filter IR by location; they are
not read back, because the entries of the table of source operations say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ssft.compiler.backends.hw.dialect.attributes import Attributes
from ssft.compiler.backends.hw.dialect.tables import READERS, WRITERS, Made, create, operations_of
from ssft.compiler.diagnostics import UserError
from ssft.compiler.pipelines.collect import DiagnosticCollector
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.dialects.ssft_hw import COMMAND_OPERATIONS, ProgramOp, QueueOp
from ssft.hwmodel.isa import COMMANDS, Command, Program, Queue, SourceOp

_NUMBERS = ("dram_bytes", "spm_bytes", "spm_lower_bound")
_HEAD = ("tag", "wait", "wait_value", "post")

_NAMES = {op.MNEMONIC: op.OPERATION_NAME for op in COMMAND_OPERATIONS}
_COMMANDS: dict[str, type[Command]] = {_NAMES[c.MNEMONIC]: c for c in COMMANDS}
_FIELDS: dict[type[Command], tuple[str, ...]] = {
    command: tuple(field.name for field in fields(command) if field.name not in _HEAD)
    for command in COMMANDS
}


def to_mlir(program: Program, context: ir.Context | None = None) -> ir.Module:
    """Returns a module that holds a program, in `context` or one of its own.

    Raises `UserError` if a value of the program does not fit its field.
    """
    context = context or new_context()
    with context, ir.Location.unknown():
        module = ir.Module.create()
        make = Attributes(context)
        attributes: Made = {
            "machine": make.string(program.machine),
            "precision": make.string(program.precision),
            **{name: make.integer(getattr(program, name)) for name in _NUMBERS},
        }
        op = create(ProgramOp.OPERATION_NAME, attributes, module.body, regions=1)
        body = op.regions[0].blocks.append()
        for table, write in WRITERS.items():
            for number, entry in enumerate(getattr(program, table)):
                write(make, body, number, entry)
        locations = [_location(op) for op in program.operations]
        for queue in Queue:
            unit: Made = {"unit": make.string(queue.name.lower())}
            op = create(QueueOp.OPERATION_NAME, unit, body, regions=1)
            block = op.regions[0].blocks.append()
            _write_commands(make, block, program.queues.get(queue, []), locations)
    _verify(module)
    return module


def _location(op: SourceOp) -> ir.Location:
    """The name of a source operation at the model's line, if it has one."""
    file, _, line = op.location.rpartition(":")
    known = file and line.isascii() and line.isdigit() and int(line) < 1 << 32
    place = ir.Location.file(file, int(line), 0) if known else None
    return ir.Location.name(op.name, place)


def _write_commands(
    make: Attributes, block: ir.Block, commands: Sequence[Command], locations: list[ir.Location]
) -> None:
    unknown = ir.Location.unknown()
    with ir.InsertionPoint(block):
        for command in commands:
            attributes: Made = {"tag": make.integer(command.tag)}
            for name in _FIELDS[type(command)]:
                attributes[name] = make.integer(getattr(command, name))
            if command.wait is not None:
                attributes["wait"] = make.integer(command.wait)
            if command.wait is not None or command.wait_value:
                attributes["wait_value"] = make.integer(command.wait_value)
            if command.post is not None:
                attributes["post"] = make.integer(command.post)
            ir.Operation.create(
                _NAMES[command.MNEMONIC],
                attributes=attributes,
                loc=locations[command.tag] if 0 <= command.tag < len(locations) else unknown,
            )


def _verify(module: ir.Module) -> None:
    with DiagnosticCollector(module.context) as collector:
        try:
            module.operation.verify()
        except ir.MLIRError:
            first = collector.errors[0]
            raise UserError(
                first.message,
                location=first.location if first.location.line else None,
                notes=[f"{len(collector.errors)} errors in all"] if collector.errors[1:] else [],
            ) from None


def from_mlir(module: ir.Module) -> Program:
    """Returns the program that a module holds.

    Raises `UserError` if the module is invalid, or does not hold exactly one program.
    """
    _verify(module)
    name = ProgramOp.OPERATION_NAME
    holders = [op for op in module.body.operations if op.operation.name == name]
    if len(holders) != 1:
        raise UserError(
            f"the module holds {len(holders)} programs, expected 1",
            notes=[f"a program is an operation '{name}' at the top of the module"],
        )
    attributes = holders[0].attributes
    program = Program(
        machine=attributes["machine"].value,
        precision=attributes["precision"].value,
        **{name: attributes[name].value for name in _NUMBERS},
    )
    for op in operations_of(holders[0]):
        kind = op.operation.name
        if kind == QueueOp.OPERATION_NAME:
            queue = Queue[op.attributes["unit"].value.upper()]
            program.queues[queue] = _read_commands(op)
        else:
            table, read = READERS[kind]
            getattr(program, table).append(read(op))
    return program


def _read_commands(queue: Any) -> list[Command]:
    found = []
    for op in operations_of(queue):
        attributes: Any = op.attributes
        command = _COMMANDS[op.operation.name]
        values = {name: attributes[name].value for name in _FIELDS[command]}
        for name in _HEAD:
            if name in attributes:
                values[name] = attributes[name].value
        found.append(command(**values))
    return found
