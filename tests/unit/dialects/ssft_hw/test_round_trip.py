"""Programs survive the way through MLIR, as text and as bytecode."""

from __future__ import annotations

import dataclasses
import io

import pytest
from hw_programs import few, matmul_program, programs
from hypothesis import given

from ssft.compiler.backends.hw.dialect.program import from_mlir, to_mlir
from ssft.compiler.diagnostics import UserError
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.hwmodel.isa import (
    Access,
    DramBuffer,
    Fence,
    MicroOp,
    MicroProgram,
    Nest,
    Program,
    Queue,
    SourceOp,
    Wait,
)
from ssft.hwmodel.isa.encoding import encode

CONTEXT = new_context()


@given(programs())
@few
def test_round_trip(program):
    module = to_mlir(program, CONTEXT)
    assert from_mlir(module) == program
    text = ir.Module.parse(str(module), context=CONTEXT)
    assert encode(from_mlir(text)) == encode(program)


@given(programs())
@few
def test_round_trip_by_bytecode(program):
    stream = io.BytesIO()
    to_mlir(program, CONTEXT).operation.write_bytecode(stream)
    assert from_mlir(ir.Module.parse(stream.getvalue(), context=CONTEXT)) == program


@pytest.mark.parametrize(
    "number", [0, 0.0, -0.0, 5e-324, 0.1, float("inf"), -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)]
)
def test_numbers_keep_their_bits_and_their_kind(number):
    code = (MicroOp("constant", (), "f32", number),)
    nest = Nest((1,), (True,), (), (Access(0, 0, (0,), number),), code, (1,))
    program = Program("m", "f32", micro_programs=[MicroProgram("k", (), (nest,))])
    module = ir.Module.parse(str(to_mlir(program, CONTEXT)), context=CONTEXT)
    (back,) = from_mlir(module).micro_programs[0].nests
    for value in (back.code[0].immediate, back.outputs[0].initial):
        assert (type(value), repr(value)) == (type(number), repr(number))


@pytest.mark.parametrize("data", [None, b"", b"\0", b"\xff" * 300, bytes(range(256))])
def test_constants_keep_their_bytes(data):
    buffer = DramBuffer("w", 0, 1, "f32", (), "weight", data=data)
    module = to_mlir(Program("m", "f32", dram=[buffer]), CONTEXT)
    again = ir.Module.parse(str(module), context=CONTEXT)
    assert from_mlir(again).dram == [buffer]


def commands_in(module: ir.Module) -> list[ir.Operation]:
    found = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.parent is not None and op.parent.name == "ssft_hw.queue":
            found.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    return found


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ("model.py:3", 'loc("mlp"("model.py":3:0))'),
        ("a:b.py:70000", 'loc("mlp"("a:b.py":70000:0))'),
        ("", 'loc("mlp")'),
        ("<optimizer>", 'loc("mlp")'),
        (":3", 'loc("mlp")'),
        ("model.py:99999999999", 'loc("mlp")'),
        ("model.py:-3", 'loc("mlp")'),
    ],
)
def test_commands_have_the_locations_of_their_sources(source, location):
    program = Program("m", "f32", operations=[SourceOp("mlp", "matmul", "forward", source)])
    program.queues[Queue.TENSOR] = [Fence(), Fence(tag=1)]
    module = to_mlir(program, CONTEXT)
    assert [str(op.location) for op in commands_in(module)] == [location, "loc(unknown)"]
    assert from_mlir(module) == program


def test_a_module_of_its_own_context():
    module = to_mlir(matmul_program())
    assert module.context is not CONTEXT
    assert from_mlir(module) == matmul_program()


def test_queues_that_are_missing_are_empty():
    program = dataclasses.replace(matmul_program(), queues={})
    assert from_mlir(to_mlir(program, CONTEXT)).queues == {queue: [] for queue in Queue}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dram_bytes": 1 << 63}, "9223372036854775808, which does not fit 64 bits"),
        ({"dram_bytes": -1}, "attribute 'dram_bytes' is -1, expected at least 0"),
        ({"machine": "\ud800"}, "which is not text"),
        ({"precision": "f16"}, "attribute 'precision' is \"f16\", expected one of bf16, f32"),
        ({"queues": {Queue.TENSOR: [Wait(wait=15)]}}, "attribute 'wait' is 15, expected a"),
        ({"queues": {Queue.TENSOR: matmul_program().queues[Queue.DMA_IN]}}, "may not hold"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(UserError) as caught:
        to_mlir(dataclasses.replace(matmul_program(), **change), CONTEXT)
    assert message in caught.value.message


def test_the_place_of_an_error_is_the_source_operation():
    program = matmul_program()
    program.queues[Queue.VECTOR][1] = Wait(tag=1, wait=16)
    with pytest.raises(UserError) as caught:
        to_mlir(program, CONTEXT)
    assert str(caught.value.location) == "model.py:4:1"


@pytest.mark.parametrize(("text", "count"), [("", 0), ("PP", 2)])
def test_a_module_holds_one_program(text, count):
    holder = to_mlir(Program("m", "f32"), CONTEXT)  # must outlive its operations
    one = str(holder.body.operations[0])
    module = ir.Module.parse(text.replace("P", one + "\n"), context=CONTEXT)
    with pytest.raises(UserError, match=f"holds {count} programs, expected 1"):
        from_mlir(module)


def test_a_module_that_was_made_invalid_is_refused():
    module = to_mlir(matmul_program(), CONTEXT)
    del commands_in(module)[0].attributes["spm"]
    with pytest.raises(UserError, match="requires attribute 'spm'"):
        from_mlir(module)
