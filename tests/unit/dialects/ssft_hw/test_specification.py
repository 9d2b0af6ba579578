"""The dialect is the instruction set's, and docstrings, verifiers and lit tests agree."""

from __future__ import annotations

import inspect
import random
import re
from dataclasses import fields
from pathlib import Path

import pytest

from ssft.compiler.pipelines.collect import DiagnosticCollector
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.dialects.ssft_hw import COMMAND_OPERATIONS, OPERATIONS, QUEUES, CommandOp
from ssft.dialects.ssft_hw.command import HEAD
from ssft.dialects.ssft_hw.dialect import DTYPES
from ssft.dialects.ssft_hw.tables import PHASES, PURPOSES
from ssft.hwmodel.isa import COMMANDS, Command, Queue, dtypes, program
from ssft.hwmodel.isa.commands import NO_SEMAPHORE

REPOSITORY = Path(__file__).parents[4]
LIT = REPOSITORY / "tests/lit/dialects/ssft_hw"

TABLE_OPERATIONS = [op for op in OPERATIONS if op not in COMMAND_OPERATIONS]

all_operations = pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.OPERATION_NAME)
table_operations = pytest.mark.parametrize("op", TABLE_OPERATIONS, ids=lambda op: op.OPERATION_NAME)
command_operations = pytest.mark.parametrize(
    "op", COMMAND_OPERATIONS, ids=lambda op: op.OPERATION_NAME
)


@pytest.fixture
def context():
    with new_context() as context, ir.Location.unknown():
        yield context


def name_of(op: type) -> str:
    return "command" if op is CommandOp else op.OPERATION_NAME.removeprefix("ssft_hw.")


def stated(op: type) -> set[str]:
    name = "command" if issubclass(op, CommandOp) else name_of(op)
    return {f"{name}_c{n}" for n in re.findall(r"\* \(C(\d+)\)", inspect.getdoc(op))}


# The instruction set ---------------------------------------------------------------------------


def test_there_is_one_operation_per_command():
    assert [op.MNEMONIC for op in COMMAND_OPERATIONS] == [c.MNEMONIC for c in COMMANDS]


@pytest.mark.parametrize(
    ("op", "command"),
    list(zip(COMMAND_OPERATIONS, COMMANDS, strict=False)),
    ids=lambda c: getattr(c, "OPERATION_NAME", ""),
)
def test_operations_are_what_commands_are(op, command):
    assert "ssft_hw." + command.MNEMONIC.replace(".", "_") == op.OPERATION_NAME
    assert tuple(queue.name.lower() for queue in command.QUEUES) == op.QUEUES
    payload = {f.name: f.metadata["bits"] for f in fields(command) if "bits" in f.metadata}
    assert list(op.PAYLOAD.items()) == list(payload.items())
    assert [field.name for field in op._fields] == ["tag", *payload]


def test_heads_are_what_commands_have():
    assert set(HEAD) == {field.name for field in fields(Command)}
    assert HEAD["wait"] == HEAD["post"] == NO_SEMAPHORE.bit_length()


def test_names_are_those_of_the_instruction_set():
    assert tuple(queue.name.lower() for queue in Queue) == QUEUES
    assert dtypes.DTYPES == DTYPES
    assert program.PHASES == PHASES
    assert program.PURPOSES == PURPOSES


# Docstrings, verifiers and lit tests -----------------------------------------------------------


@all_operations
def test_constraints_are_numbered_without_gaps(op):
    numbers = [int(n) for n in re.findall(r"\* \(C(\d+)\)", inspect.getdoc(op))]
    assert numbers == list(range(1, len(numbers) + 1)) != []


@pytest.mark.parametrize("op", [*TABLE_OPERATIONS, CommandOp], ids=name_of)
def test_each_stated_constraint_is_verified(op):
    expected = stated(COMMAND_OPERATIONS[0] if op is CommandOp else op)
    assert set(re.findall(rf"# ({name_of(op)}_c\d+)", inspect.getsource(op))) == expected


@pytest.mark.parametrize("op", [*TABLE_OPERATIONS, CommandOp], ids=name_of)
def test_each_stated_constraint_has_a_violation(op):
    text = (LIT / name_of(op) / "invalid.mlir").read_text()
    chunks = text.split("// -----")
    violated = {match[1] for chunk in chunks if (match := re.search(r"@(\w+_c\d+)\(", chunk))}
    assert violated == stated(COMMAND_OPERATIONS[0] if op is CommandOp else op)
    assert all("expected-error" in chunk for chunk in chunks)


PARENTS = {
    "ssft_hw.micro_op": '"ssft_hw.nest"() ({{ {} }}) {{extents = array<i64>, inputs = [], '
    "origins = [], outputs = [], reduction = array<i1>, stored = array<i64>}} : () -> ()",
    "ssft_hw.nest": '"ssft_hw.micro_program"() ({{ {} }}) {{kind = "", number = 0 : i64, '
    "slots = []}} : () -> ()",
}


def wrapped(op: type, text: str) -> str:
    """The text of an operation, with what it must stand in."""
    queue = op.QUEUES[0] if issubclass(op, CommandOp) else "index"
    inside = {q: '"ssft_hw.fence"() {tag = 0 : i64} : () -> ()' for q in QUEUES}
    name = op.OPERATION_NAME
    while name in PARENTS:
        text = PARENTS[name].format(text)
        name = re.match(r'"(.*?)"', text)[1]
    if name == "ssft_hw.program":
        return text
    table = "" if issubclass(op, CommandOp) or name == "ssft_hw.queue" else text
    if issubclass(op, CommandOp):
        inside[queue] = text
    queues = {q: f'"ssft_hw.queue"() ({{ {c} }}) {{unit = "{q}"}} : () -> ()\n'
              for q, c in inside.items()}  # fmt: skip
    if name == "ssft_hw.queue":
        queues["index"] = text
    return (
        f'"ssft_hw.program"() ({{ {table}\n{"".join(queues.values())} }}) {{machine = "m", '
        'precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, '
        "spm_lower_bound = 0 : i64} : () -> ()"
    )


@all_operations
def test_the_docstring_has_an_example_that_is_valid(context, op):
    example = inspect.getdoc(op).split("Example::")[1].strip()
    assert example.startswith(f'"{op.OPERATION_NAME}"')
    module = ir.Module.parse(wrapped(op, example))
    assert module.operation.verify()


ODD = [
    "unit", "3 : i64", "-1 : i64", "3 : i32", "1.0 : f64", '"x"', "f32", "index", "[]", "[unit]",
    "{}", "[{}]", "[{dtype = 3 : i64}]", "[array<i64>]", "array<i64>", "array<i64: -1>",
    "array<i1: true>", "dense<1.0> : tensor<2xf32>", "dense<1> : tensor<i8>",
    "dense<> : tensor<0xi8>", "affine_map<()->()>",
]  # fmt: skip


@all_operations
def test_verifiers_answer_on_odd_attributes(context, op):
    example = inspect.getdoc(op).split("Example::")[1].strip()
    whole = ir.Module.parse(wrapped(op, example))
    names = list(first(whole, op).attributes)
    refused = 0
    for odd in (None, *ODD):
        for name in names:
            module = ir.Module.parse(wrapped(op, example))
            changed = first(module, op)
            if odd is None:
                del changed.attributes[name]
            else:
                changed.attributes[name] = ir.Attribute.parse(odd)
            with DiagnosticCollector(context):
                try:
                    assert module.operation.verify()
                except ir.MLIRError:
                    refused += 1
    assert refused > len(ODD) / 2


def first(module: ir.Module, op: type) -> ir.Operation:
    """The first operation of a kind."""
    found = []

    def visit(candidate: ir.Operation) -> ir.WalkResult:
        if candidate.name == op.OPERATION_NAME:
            found.append(candidate)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    return found[0]


# Verifiers of commands, for every field --------------------------------------------------------


def errors(context: ir.Context, op: type, attributes: dict[str, int], type_: str = "i64"):
    """What the verifier says of a command that stands nowhere."""
    made = {n: ir.IntegerAttr.get(ir.Type.parse(type_), v) for n, v in attributes.items()}
    command = ir.Operation.create(op.OPERATION_NAME, attributes=made)
    with DiagnosticCollector(context) as collector:
        try:
            assert command.verify()
        except ir.MLIRError:
            assert collector.errors
    return [error.message for error in collector.errors]


@command_operations
def test_values_must_fit_their_bits(context, op):
    rng = random.Random(op.MNEMONIC)
    limits = {**{n: 1 << b for n, b in {**HEAD, **op.PAYLOAD}.items()}, "wait": 15, "post": 15}
    assert errors(context, op, dict.fromkeys(("tag", *op.PAYLOAD), 0)) == []
    assert errors(context, op, {name: limit - 1 for name, limit in limits.items()}) == []
    for name, limit in limits.items():
        good = {n: rng.randrange(other) for n, other in limits.items()}
        for value in (limit, -1):
            (message,) = errors(context, op, {**good, name: value})
            assert message.startswith(f"'{op.OPERATION_NAME}' op attribute '{name}' is {value}, ")


@command_operations
def test_all_but_the_head_must_be_given(context, op):
    full = dict.fromkeys(("tag", *op.PAYLOAD), 0)
    for name in full:
        (message,) = errors(context, op, {n: v for n, v in full.items() if n != name})
        assert message == f"'{op.OPERATION_NAME}' op requires attribute '{name}'"


@command_operations
def test_numbers_are_i64(context, op):
    (message,) = errors(context, op, dict.fromkeys(("tag", *op.PAYLOAD), 0), "i32")
    assert message.endswith("must be an i64 integer, but is 0 : i32")


@pytest.mark.parametrize("unit", QUEUES)
@command_operations
def test_queues_hold_their_commands_only(context, op, unit):
    attributes = ", ".join(f"{name} = 0 : i64" for name in ("tag", *op.PAYLOAD))
    command = f'"{op.OPERATION_NAME}"() {{{attributes}}} : () -> ()'
    queue = f'"ssft_hw.queue"() ({{ {command} }}) {{unit = "{unit}"}} : () -> ()'
    text = "\n".join(
        queue if q == unit else f'"ssft_hw.queue"() ({{ }}) {{unit = "{q}"}} : () -> ()'
        for q in QUEUES
    )
    text = (
        f'"ssft_hw.program"() ({{ {text} }}) {{machine = "m", precision = "f32", '
        "dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()"
    )
    with DiagnosticCollector(context) as collector:
        if unit in op.QUEUES:
            assert ir.Module.parse(text).operation.verify()
            return
        with pytest.raises(ir.MLIRError):
            ir.Module.parse(text)
    assert f"region may not hold '{op.OPERATION_NAME}'" in collector.errors[0].message
