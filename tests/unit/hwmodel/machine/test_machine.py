"""The machine as its host sees it: buffers, steps, limits, and memory that nothing wrote."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hw_programs import matmul_program
from machine_programs import Chain, to_bf16

from ssft.hwmodel.isa import (
    AdamRows,
    DramBuffer,
    GatherRows,
    Gemm,
    Load2D,
    MicroProgram,
    Post,
    Program,
    Queue,
    Store2D,
    Vector,
)
from ssft.hwmodel.isa.encoding import decode, encode
from ssft.hwmodel.machine import FunctionalMachine, MachineError, UninitializedError
from ssft.hwmodel.machine.jit import jit


def empty(**fields) -> FunctionalMachine:
    """A machine without commands, with one buffer ``x``."""
    size = int(np.prod(fields["shape"])) * {"bf16": 2, "i1": 1, "i64": 8}.get(fields["dtype"], 4)
    program = Program("test", "f32", dram_bytes=size)
    program.dram = [DramBuffer("x", 0, size, purpose="input", **fields)]
    return FunctionalMachine(program)


@pytest.mark.parametrize("source", [np.float16, np.float32, np.float64, np.int64])
def test_bf16_buffers_round_and_come_back_as_f32(source):
    values = np.array([1, 257, -3], source)
    machine = empty(dtype="bf16", shape=(3,))
    machine.write("x", values)
    found = machine.read("x")
    assert found.dtype == np.float32
    assert found.tolist() == to_bf16(values).tolist() == [1, 256, -3]


def test_f64_is_rounded_once_to_bf16():
    machine = empty(dtype="bf16", shape=(1,))
    machine.write("x", [1 + 2.0**-8 + 2.0**-40])
    assert machine.read("x") == 1 + 2.0**-7


def test_layout_is_the_machines_own_affair():
    values = np.arange(24.0).reshape(2, 3, 4)
    machine = empty(dtype="f32", shape=(2, 3, 4), order=(2, 0, 1), argument=5)
    machine.write(5, values)
    assert np.array_equal(machine.read("x"), values)
    laid_out = machine.dram.data[:96].view(np.float32)
    assert np.array_equal(laid_out, values.transpose(2, 0, 1).ravel())


def test_scalars_and_booleans():
    machine = empty(dtype="i1", shape=())
    machine.write("x", True)
    assert machine.read("x").shape == ()
    assert machine.read("x").dtype == np.bool_
    assert machine.read("x")


def test_host_mistakes():
    machine = empty(dtype="i32", shape=(2,))
    for array, match in (([1], r"shape \(2,\), but the array has \(1,\)"), ([1, 2**40], "not fit")):
        with pytest.raises(MachineError, match=match):
            machine.write("x", array)
    with pytest.raises(MachineError, match="0 buffers with name 'y'"):
        machine.read("y")
    with pytest.raises(MachineError, match="0 buffers with argument 3"):
        machine.write(3, [1, 2])
    with pytest.raises(MachineError, match="0 buffers with result 0"):
        machine.result(0)
    with pytest.raises(UninitializedError, match="buffer 'x' is undefined from byte 0"):
        machine.read("x")


def test_what_a_read_returns_is_the_callers():
    machine = empty(dtype="f32", shape=(2,))
    machine.write("x", [1, 2])
    machine.read("x")[:] = 0
    assert machine.read("x").tolist() == [1, 2]


def test_limits():
    program = Program("test", "f32", dram_bytes=2000, spm_bytes=1000)
    FunctionalMachine(program, spm_bytes=1000, dram_bytes=2000)
    with pytest.raises(
        MachineError, match="uses 1000 bytes of scratchpad, but the machine has 999"
    ):
        FunctionalMachine(program, spm_bytes=999, dram_bytes=2000)
    with pytest.raises(MachineError, match="uses 2000 bytes of dram"):
        FunctionalMachine(program, dram_bytes=1999)
    program.dram.append(DramBuffer("x", 1999, 4, "f32", (1,), "input"))
    with pytest.raises(MachineError, match="ends at 2003"):
        FunctionalMachine(program)


@pytest.mark.parametrize(
    ("queue", "command", "match"),
    [
        (Queue.TENSOR, Load2D(dram=0, spm=0, rows=1, row_bytes=1, pitch=0), "of the tensor queue"),
        (Queue.TENSOR, Gemm(a=0, b=0, c=0, shape=3), "no contraction 3"),
        (Queue.VECTOR, Vector(program=1, arguments=0), "no micro-program 1"),
        (Queue.VECTOR, AdamRows(program=0, arguments=2), "no argument list 2"),
        (Queue.INDEX, Post(semaphore=15, amount=1), "no semaphore 15"),
    ],
)
def test_references_to_nothing(queue, command, match):
    program = Program("test", "f32", micro_programs=[MicroProgram("none", (), ())])
    program.queues[queue].append(command)
    with pytest.raises(MachineError, match=rf"{queue.name.lower()}\[0\].*{match}"):
        FunctionalMachine(program)


def test_buffers_that_take_turns_in_one_place():
    """A gather in the longer of two buffers at one address leaves neither."""
    chain = Chain()
    chain.load("long", "f32", np.arange(64))
    chain.program.dram.append(DramBuffer("short", 0, 4, "f32", (1,), "activation"))
    index = chain.load("list", "i64", [9])
    tile = chain.spm(16)
    chain.add(GatherRows(dram=0, spm=tile, index=index, count=1, row_bytes=16, pitch=16))
    chain.store("result", "f32", (4,), tile)
    assert chain.run().read("result").tolist() == [36, 37, 38, 39]


def counting() -> Chain:
    """Copies ``state`` over ``old``, and constant ``one`` over ``state``."""
    chain = Chain()
    state, old = chain.buffer("state", "f32", (4,)), chain.buffer("old", "f32", (4,), result=0)
    one = chain.buffer("one", "f32", (4,), data=np.ones(4, np.float32).tobytes())
    address = chain.spm(16, "tile")
    for source, target in ((state, old), (one, state)):
        chain.add(Load2D(dram=source.address, spm=address, rows=1, row_bytes=16, pitch=0))
        chain.add(Store2D(dram=target.address, spm=address, rows=1, row_bytes=16, pitch=0))
    chain.values["state"] = np.full(4, 7.0)
    return chain


def test_memory_is_kept_from_step_to_step():
    machine = counting().machine()
    machine.run()
    assert machine.result(0).tolist() == [7] * 4
    machine.run()
    assert machine.result(0).tolist() == [1] * 4


def test_scratchpad_starts_afresh():
    chain = Chain()
    chain.store("x", "f32", (4,), chain.spm(16, "tile"))
    machine = chain.machine()
    machine.spm.data[:] = 0
    machine.spm.flags[:] = True
    with pytest.raises(UninitializedError, match="slot 'tile'"):
        machine.run()


def test_undefined_reads_name_command_source_address_and_place():
    chain = Chain()
    chain.buffer("x", "f32", (64,))
    chain.add(Load2D(dram=16, spm=chain.spm(64), rows=1, row_bytes=32, pitch=0))
    machine = FunctionalMachine(chain.program)
    with pytest.raises(UninitializedError) as caught:
        machine.run()
    assert str(caught.value) == (
        "dma_in[0] `dma.ld2d dram=0x10 spm=0x0 rows=1 row_bytes=32 pitch=0 post=s0` (operation 0 "
        "'op' at m.py:7): reads undefined dram address 0x10 in buffer 'x' + 0x10"
    )


def test_definedness_is_known_to_the_byte():
    """Tiles of two bytes in one block: those that are written can be read, no others."""
    chain = Chain()
    tile = chain.load("tile", "bf16", np.ones(8))
    target = chain.buffer("x", "bf16", (64,))
    columns = {"rows": 8, "row_bytes": 2, "pitch": 16}
    chain.add(Store2D(dram=target.address + 2, spm=tile, **columns))
    chain.add(Load2D(dram=target.address + 2, spm=tile, **columns))
    chain.run()
    chain.add(Load2D(dram=target.address + 4, spm=tile, **columns))
    with pytest.raises(UninitializedError, match="in buffer 'x' \\+ 0x4"):
        chain.run()


def test_what_runs_is_what_is_encoded():
    program = matmul_program()
    results = []
    for each in (program, decode(encode(program))):
        machine = FunctionalMachine(each)
        for buffer in each.dram:
            if buffer.purpose != "output":
                machine.write(buffer.name, np.arange(np.prod(buffer.shape)).reshape(buffer.shape))
        machine.run()
        results.append(machine.dram.data.copy())
    assert np.array_equal(*results)


def test_progress_and_statistics():
    calls = []
    statistics = counting().machine().run(on_progress=lambda *call: calls.append(call))
    assert calls == [(4, 4)]
    assert statistics.seconds > 0
    assert (statistics.dram_bytes_read, statistics.dram_bytes_written) == (32, 32)


def test_code_is_compiled_where_it_cannot_be_kept():
    """A function without a file has no place for its compiled code either."""
    names = {}
    exec(compile("def double(x): return x + x", "<nowhere>", "exec"), names)
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(names["double"])
    assert jit(names["double"])(2) == 4
