"""Programs as files: exact, and whatever is wrong with a file is said."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path

import pytest
from hw_programs import few, many, matmul_program, programs
from hypothesis import given
from hypothesis import strategies as st

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Access, DramBuffer, MicroProgram, Nest, Program, Queue, encoding
from ssft.hwmodel.isa.encoding import decode, encode, load, save

PROGRAM = encode(matmul_program())
HEAD = 64


@given(programs())
@few
def test_round_trip(program):
    data = encode(program)
    assert decode(data) == program
    assert encode(decode(data)) == data


def initial(value) -> Program:
    """A program with that number in it."""
    nest = Nest((1,), (True,), (), (Access(0, 0, (0,), value),), (), (0,))
    return Program("m", "f32", micro_programs=[MicroProgram("k", (), (nest,))])


@pytest.mark.parametrize(
    "value", [0, 0.0, -0.0, 1e-320, 0.1, float("inf"), float("nan"), 2**64 - 1]
)
def test_numbers_keep_their_bits_and_their_kind(value):
    back = decode(encode(initial(value))).micro_programs[0].nests[0].outputs[0].initial
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_save_and_load(tmp_path: Path):
    path = tmp_path / "step.ssfthw"
    save(matmul_program(), path)
    assert load(path) == matmul_program()
    assert path.read_bytes() == PROGRAM
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_compact():
    program = matmul_program()
    bare = len(encode(program))
    program.queues[Queue.VECTOR] *= 1000
    assert len(encode(program)) - bare < 32 * 1998 + 8


@given(st.integers(0, len(PROGRAM) - 1), st.integers(1, 255))
@many
def test_a_changed_byte_is_noticed(place, change):
    data = bytearray(PROGRAM)
    data[place] ^= change
    with pytest.raises(MachineError):
        decode(bytes(data))


@given(st.integers(0, len(PROGRAM) - 1))
@many
def test_a_file_that_is_cut_short_is_noticed(size):
    with pytest.raises(MachineError):
        decode(PROGRAM[:size])


@given(st.binary(max_size=200))
@many
def test_anything_else_is_refused(data):
    for prefix in (b"", encoding.MAGIC, PROGRAM[:HEAD]):
        with pytest.raises(MachineError):
            decode(prefix + data)


def sealed(body: bytes, version: int = encoding.VERSION, mark: int = encoding.FINGERPRINT) -> bytes:
    """A file whose check sum is right, whatever is in it."""
    head = struct.pack("<8sIIQ8x", encoding.MAGIC, version, mark, len(body))
    return head + hashlib.sha256(head + body).digest() + body


def with_header(change) -> bytes:
    """The program's file with another header."""
    body = PROGRAM[HEAD:]
    (size,) = struct.unpack_from("<Q", body)
    header = json.loads(body[8 : 8 + size])
    changed = change(header)
    text = changed if isinstance(changed, bytes) else json.dumps(changed or header).encode()
    return sealed(struct.pack("<Q", len(text)) + text + body[8 + size :])


def put(header: dict, value, *path):
    *way, last = path
    for step in way:
        header = header[step]
    header[last] = value


def test_an_unchanged_header_is_accepted():
    assert decode(with_header(lambda header: None)) == matmul_program()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("precision",), "f16", "precision is 'f16', expected one of bf16, f32"),
        (("machine",), 3, "machine is 3, expected a string"),
        (("dram_bytes",), 1.5, "dram_bytes is 1.5, expected an integer"),
        (("contractions",), None, "contractions is None, expected a list"),
        (("contractions", 0, 0, 1, 0), "z", "contractions[0].dims[1].kind is 'z', expected one of"),
        (("contractions", 0, 0, 1), [1], "contractions[0].dims[1] is [1], expected a list of 5"),
        (("contractions", 0, 5), [1], "contractions[0].lane_tile is [1], expected a list of 2"),
        (("contractions", 0, 5, 1), {}, "contractions[0].lane_tile[1] is {}, expected an integer"),
        (("micro_programs", 0, 2, 0, 4, 0, 3), [], "code[0].immediate is [], expected int | float"),
        (("micro_programs", 0, 2, 0, 1, 0), 1, "nests[0].reduction[0] is 1, expected true or"),
        (("dram", 1, 9), 7, "dram[1].data is blob 7, but there are 1"),
        (("dram", 1, 9), -1, "dram[1].data is blob -1, but there are 1"),
        (("queues",), [1], "it has 1 queues, expected 5"),
        (("queues",), [2, 1, 1, 2, -1], "queue INDEX has -32 bytes"),
        (("queues",), [2, 1, 1, 2, 10**9], "queue INDEX has 32000000000 bytes, but"),
        (("queues",), [2, 1, 1, 1, 0], "bytes are left over"),
        (("arguments",), [-2], "an argument list has -8 bytes"),
        (("blobs",), ["x"], "blobs[0] is 'x', expected an integer"),
    ],
)
def test_a_wrong_table_is_refused(path, value, message):
    with pytest.raises(MachineError) as caught:
        decode(with_header(lambda header: put(header, value, *path)))
    assert message in caught.value.message
    assert caught.value.message.startswith("program is damaged: ")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "its header is not JSON"),
        (b"\xff", "its header is not JSON"),
        (b"[" * 100_000, "its header is not JSON"),
        (b"9" * 10_000, "its header is not JSON"),
        (b"[]", "its header does not have the tables"),
        (b"{}", "its header does not have the tables"),
    ],
)
def test_a_wrong_header_is_refused(header, message):
    with pytest.raises(MachineError, match=message):
        decode(with_header(lambda _: header))


def test_another_version_is_refused():
    with pytest.raises(MachineError, match="has version 9, but this is a reader of version 1"):
        decode(sealed(PROGRAM[HEAD:], version=9))


def test_another_instruction_set_is_refused():
    with pytest.raises(MachineError, match="another state of the instruction set"):
        decode(sealed(PROGRAM[HEAD:], mark=encoding.FINGERPRINT ^ 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "f16"}, "precision is 'f16', expected one of bf16, f32"),
        ({"machine": None}, "machine is None, expected a string"),
        ({"arguments": [(1,), (-1,)]}, "argument list 1 is (-1,), expected numbers of 32 bits"),
        ({"arguments": [(1 << 32,)]}, "argument list 0 is (4294967296,), expected"),
        ({"dram_bytes": 1 << 64}, "dram_bytes is a number of more than 64 bits"),
        ({"dram_bytes": 10**5000}, "dram_bytes is a number of more than 64 bits"),
        ({"spm": ["x"]}, "spm[0] is 'x', expected a SpmSlot"),
        ({"dram": [DramBuffer("w", 0, 1, "f32", (), "weight", data="x")]}, "dram[0].data is 'x'"),
    ],
)
def test_a_program_with_a_wrong_value_has_no_encoding(change, message):
    with pytest.raises(MachineError) as caught:
        encode(dataclasses.replace(matmul_program(), **change))
    assert message in caught.value.message


def test_messages_name_the_file(tmp_path: Path):
    path = tmp_path / "x"
    with pytest.raises(MachineError, match=f"cannot read '{path}': No such file"):
        load(path)
    path.write_bytes(PROGRAM[:-1])
    with pytest.raises(MachineError, match=f"'{path}': program is damaged: it has"):
        load(path)
    path.write_text("module {}")
    with pytest.raises(MachineError, match=f"'{path}': this is not an SSFT-Hw program"):
        load(path)
    with pytest.raises(MachineError, match=f"cannot read '{tmp_path}': Is a directory"):
        load(tmp_path)


def test_a_failed_save_leaves_the_file_alone(tmp_path: Path):
    path = tmp_path / "x"
    save(matmul_program(), path)
    with pytest.raises(MachineError):
        save(dataclasses.replace(matmul_program(), precision="f16"), path)
    assert path.read_bytes() == PROGRAM
    with pytest.raises(MachineError, match=r"cannot write '.*gone/x': No such file or directory"):
        save(matmul_program(), tmp_path / "gone" / "x")
