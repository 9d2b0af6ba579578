"""Assembly says everything about a program, and errors in it are pointed at."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hw_programs import commands, few, many, matmul_program, micro_programs, programs
from hypothesis import given
from hypothesis import strategies as st

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import (
    NO_LIST,
    Access,
    Fence,
    GatherRows,
    Gemm,
    Load2D,
    MicroOp,
    MicroProgram,
    Nest,
    Program,
    Queue,
    SourceOp,
    Wait,
)
from ssft.hwmodel.isa.assembly import AssemblyError, command_text, from_text, to_text
from ssft.hwmodel.isa.assembly_tokens import Line
from ssft.hwmodel.isa.command_assembly import _exact_command, _quick_command
from ssft.hwmodel.isa.encoding import encode

TEXT = to_text(matmul_program())


@given(programs())
@few
def test_round_trip(program):
    text = to_text(program)
    assert encode(from_text(text)) == encode(program)
    assert to_text(from_text(text)) == text
    assert text.isascii()


@given(micro_programs)
@many
def test_micro_programs_survive(program):
    back = from_text(to_text(Program("m", "f32", micro_programs=[program])))
    assert back.micro_programs == [program]


@given(commands())
@many
def test_both_readers_of_commands_agree(command):
    text = command_text(command)
    assert _quick_command(text) == _exact_command(Line("f", 1, text)) == command


def one_nest(code=(), outputs=()) -> Program:
    nest = Nest((2,), (True,), (), outputs, code, ())
    return Program("m", "f32", micro_programs=[MicroProgram("k", (), (nest,))])


@pytest.mark.parametrize(
    "number", [0, 0.0, -0.0, -7, 5e-324, 1e22, -1e-7, float("inf"), float("-inf"), 2**64 - 1]
)
def test_numbers_keep_their_bits_and_their_kind(number):
    program = one_nest(
        (MicroOp("constant", (), "f32", number),), (Access(0, 0, (0,), initial=number),)
    )
    (nest,) = from_text(to_text(program)).micro_programs[0].nests
    for back in (nest.code[0].immediate, nest.outputs[0].initial):
        assert (type(back), repr(back)) == (type(number), repr(number))


def test_not_a_number_survives():
    program = one_nest((MicroOp("constant", (), "f32", float("nan")),))
    assert encode(from_text(to_text(program))) == encode(program)


def test_commands_read_well():
    assert command_text(
        Load2D(dram=0x12340, spm=0x400, rows=64, row_bytes=256, pitch=512, wait=2, wait_value=17,
               post=0, tag=9)
    ) == (
        "dma.ld2d  dram=0x12340 spm=0x400 rows=64 row_bytes=256 pitch=512  wait 2>=17 post 0 tag 9"
    )  # fmt: skip
    assert command_text(Gemm(a=1, b=2, c=3, shape=4)) == (
        "gemm  a=0x1 b=0x2 c=0x3 shape=4 index=none accumulate=0"
    )
    assert command_text(Fence()) == "fence"
    assert command_text(Wait(wait=None, wait_value=3)) == "sem.wait  wait none>=3"


def test_only_an_optional_list_can_be_none():
    rows = GatherRows(dram=0, spm=0, index=NO_LIST, count=1, row_bytes=1, pitch=1)
    assert "index=0xffffffff" in command_text(rows)


def test_commands_are_annotated():
    assert "post 2  ; 0: layer matmul at model.py:3\n" in TEXT
    assert "post 3 tag 1  ; 1: layer.relu relu at model.py:4\n" in TEXT


def test_an_annotation_stays_on_its_line():
    program = matmul_program()
    program.operations[1] = SourceOp('a\nb;"\u2028', "k\r", "forward")
    text = to_text(program)
    assert r"; 0: a\nb;\"\u2028 k\r" in text
    assert from_text(text) == program


def test_comments_spaces_and_line_ends_do_not_matter():
    bare = re.sub(r"\s*;.*", "", TEXT)
    assert bare.count(";") == 0
    assert from_text(bare) == matmul_program()
    assert from_text(re.sub(r"\n", ' ; x { " y\n\n ; z\n', TEXT)) == matmul_program()
    assert from_text(TEXT.replace("\n", "\r\n")) == matmul_program()


def test_fields_come_in_any_order_and_defaults_may_be_left_out():
    gemm = "gemm  a=0x0 b=0x100 c=0x300 shape=0 index=none accumulate=0  wait 0>=2 post 2"
    assert gemm in TEXT
    other = "gemm post 2 shape = 0x0 c=768 wait 0 >= 2 b=256 a=0"
    assert from_text(TEXT.replace(gemm, other)) == matmul_program()


def test_empty_queues_may_be_left_out():
    assert from_text(TEXT.replace("queue index {\n}\n", "")) == matmul_program()


@pytest.mark.parametrize(
    ("old", "new", "message", "note"),
    [
        ("assembly 1", "assembly 2", "1:18: error: unknown version 2", "reader of version 1"),
        ("ssft-hw", "module {}", "1:1: error: expected 'ssft-hw', found 'module'", "the line is"),
        ('"small"', "small", "2:9: error: expected a string, found 'small'", "the line is"),
        ('"small"', '"small', "2:9: error: unexpected character '\"'", "not closed"),
        ('"small"', r'"\small"', r"2:9: error: bad string: Invalid \escape", "JSON"),
        ('"small"', '"small" x', "2:17: error: unexpected 'x'", "should end here"),
        ("precision f32", "precision f16", "3:11: error: unknown precision 'f16'", "bf16, f32"),
        ("dram_bytes=896", "", "error: 'dram_bytes' is missing", "required are: dram_bytes"),
        ("m 4", "m 04", "10:5: error: expected an integer, found 04", "leading zeros"),
        ("m 4", "m 1e9", "10:5: error: expected an integer, found 1e9", "decimal"),
        ("m 4", "m 36893488147419103232", "error: 36893488147419103232 has more than", "wider"),
        ("m 4", "z 4", "10:3: error: unknown kind of dimension 'z'", "batch, m, n, k"),
        ("lane_tile=[4, 8]", "lane_tile=[4]", "error: expected two numbers, found 1", "[4, 8]"),
        ("lane_tile=[4, 8]", "lane_tile=[4 8]", "error: expected ',', found '8'", "the line is"),
        ("slot 1", "slot 2", "17:8: error: slot 2 stands where slot 1 is due", "without gaps"),
        ("f32 elements", "f16 elements", "16:10: error: unknown element type 'f16'", "i64, bf16"),
        ("slot=1 o", "slot=1 slot=1 o", "20:22: error: 'slot' is given twice", "leave one out"),
        ("%2 =", "%3 =", "21:5: error: register %3 stands where %2 is due", "inputs, then outputs"),
        ("%0, %2 :", "%0, %2", "22:26: error: expected ':', found 'f32'", "maximumf %0"),
        ("input %0", "output %0", "", None),
        ("output %1", "input %1", "", None),
        ("constant 0.0", "constant 0.0 1", "21:23: error: expected ':', found '1'", "constant"),
        ("    results %3\n", "    results %3\n    results %3\n", "this line comes after", "one"),
        ("[0x300, 0x380]", "[0x300, -1]", "27:21: error: -1 does not fit 32 bits", "4294967295"),
        ("purpose=input", "purpose=x", "29:22: error: unknown purpose 'x'", "weight, activation"),
        ("000080bf", "00008xbf", "error: expected pairs of hexadecimal digits", "0000803f"),
        ("000080bf", "00080bf", "error: expected pairs of hexadecimal digits", "0000803f"),
        ("queue tensor", "queue gpu", "error: unknown queue 'gpu'", "dma_in, dma_out, tensor"),
        ("queue tensor", "queue vector", "error: queue 'vector' is given twice", "one block"),
        ("spm 0", "lds 0", "error: unknown section 'lds'", "operation, contraction"),
        ("spm 0", "spm 1", "error: spm 1 stands where spm 0 is due", "without gaps"),
        ("  gemm ", "  gem ", "3: error: unknown command 'gem'", "dma.ld2d, dma.st2d"),
        ("shape=0", "shape=", "error: expected an integer, found 'index'", "gemm"),
        ("shape=0", "shap=0", "error: unknown field of gemm 'shap'", "a, b, c, shape"),
        ("shape=0", "", "error: 'shape' of gemm is missing", "a, b, c, shape"),
        ("shape=0", "shape=0 shape=0", "error: 'shape' is given twice", "leave one out"),
        ("shape=0", "shape=none", "error: expected an integer, found 'none'", "gemm"),
        ("shape=0", "shape=4294967296", "error: 4294967296 does not fit 32 bits", "4294967295"),
        ("shape=0", "shape=-1", "error: -1 does not fit 32 bits", "4294967295"),
        ("accumulate=0", "accumulate=256", "error: 256 does not fit 8 bits", "at most 255"),
        ("wait 0>=2", "wait 15>=2", "error: 15 is not a semaphore", "from 0 to 14"),
        ("wait 0>=2", "wait 0>2", "error: unexpected character '>'", "leave it out"),
        ("wait 0>=2", "wait=0", "error: expected an integer, found '='", "gemm"),
        ("post 2", "post none", "error: expected an integer, found 'none'", "gemm"),
        ("post 2", "post -1", "error: -1 is not a semaphore", "from 0 to 14"),
        ("mark  tag 1", "mark tag 65536", "error: 65536 does not fit 16 bits", "at most 65535"),
        ("mark  tag 1", "mark tag 1 tag 1", "error: 'tag' is given twice", "leave one out"),
        ("mark  tag 1", "mark tag 1 {", "error: unexpected '{'", "should end here"),
        ("queue index {\n}", "queue index {", "unexpected end of the text", "opens is not closed"),
        ("queue index {\n}", "queue index {\n} ]", "error: unexpected ']'", "should end here"),
    ],
)  # fmt: skip
def test_errors_are_pointed_at(old, new, message, note):
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    if note is None:
        assert from_text(changed) != matmul_program()
        return
    with pytest.raises(AssemblyError) as caught:
        from_text(changed, "step.s")
    assert caught.value.message.startswith("step.s:")
    assert message in caught.value.message
    assert note in caught.value.notes[0]
    assert f"step.s:{caught.value.line}:{caught.value.column}: error: " in caught.value.message


def test_a_text_that_ends_early_is_refused():
    for text in ("", "ssft-hw assembly 1\n", "; nothing\n\n"):
        with pytest.raises(AssemblyError, match=r":1: error: unexpected end of the text"):
            from_text(text)


@given(st.integers(0, len(TEXT)), st.integers(0, 3), st.text("01ax%={}[]\"',:;.\n -é", max_size=3))
@many
def test_any_change_is_read_or_refused(place, removed, added):
    try:
        program = from_text(TEXT[:place] + added + TEXT[place + removed :])
    except AssemblyError as error:
        assert error.line <= TEXT.count("\n") + 4
        return
    assert from_text(to_text(program)) == program


@given(st.text(max_size=60))
@many
def test_anything_else_is_refused(text):
    with pytest.raises(AssemblyError):
        from_text(text)


def test_a_name_that_is_none_is_refused():
    for name in ("a b", "", "inf", "%0", "\n", "é"):
        program = one_nest((MicroOp(name, (), "f32"),))
        with pytest.raises(MachineError, match="has no name that assembly can spell"):
            to_text(program)


def test_a_queue_that_is_missing_is_empty():
    program = dataclasses.replace(matmul_program(), queues={})
    assert from_text(to_text(program)).queues == {queue: [] for queue in Queue}
