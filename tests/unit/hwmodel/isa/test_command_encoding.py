"""Commands as 32 bytes: exact both ways, with errors that name the place."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hw_programs import commands, many
from hypothesis import given
from hypothesis import strategies as st

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import COMMANDS, NO_LIST, Fence, Gemm, Load2D, Queue, TopK, Wait
from ssft.hwmodel.isa.command_encoding import LAYOUTS, decode_commands, encode_commands

QUEUE = Queue.TENSOR

kinds = pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.MNEMONIC)


@given(st.lists(commands(), max_size=8))
@many
def test_round_trip(some):
    data = encode_commands(QUEUE, some)
    assert len(data) == 32 * len(some)
    assert decode_commands(QUEUE, data) == some


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(b"".join))
@many
def test_what_can_be_decoded_is_encoded_as_it_was(data):
    try:
        some = decode_commands(QUEUE, data)
    except MachineError:
        return
    assert encode_commands(QUEUE, some) == data


def test_bytes_are_where_the_layout_says():
    command = Load2D(
        dram=0x0605_0403_0201, spm=0x0A09_0807, rows=0x0E0D_0C0B, row_bytes=0x1211_100F,
        pitch=0x1817_1615_1413, tag=0xBBAA, wait=2, wait_value=0x4433_2211, post=13,
    )  # fmt: skip
    head = bytes([0x01, 0xD2, 0xAA, 0xBB, 0x11, 0x22, 0x33, 0x44])
    assert encode_commands(QUEUE, [command]) == head + bytes(range(1, 25))
    assert encode_commands(QUEUE, [Fence()]) == bytes([0x42, 0xFF]) + bytes(30)
    no_list = encode_commands(QUEUE, [Gemm(a=0, b=0, c=0, shape=0)])[24:28]
    assert no_list == NO_LIST.to_bytes(4, "little")


@kinds
def test_the_command_fits_and_has_an_opcode_of_its_own(kind):
    layout = LAYOUTS[kind]
    assert layout.end <= 256
    assert [k for k in COMMANDS if kind.OPCODE == k.OPCODE] == [kind]
    assert [k for k in COMMANDS if kind.MNEMONIC == k.MNEMONIC] == [kind]
    assert 0 < kind.OPCODE < 256


@kinds
def test_a_value_that_does_not_fit_is_refused(kind):
    zeros = dict.fromkeys(LAYOUTS[kind].names, 0)
    for name, bits in {"tag": 16, "wait_value": 32, **LAYOUTS[kind].bits}.items():
        for value in (1 << bits, -1, 1 << 300):
            bad = kind(**{**zeros, name: value})
            with pytest.raises(MachineError) as caught:
                encode_commands(Queue.INDEX, [kind(**zeros), bad])
            assert caught.value.message == (
                f"queue index, command 1 ({kind.MNEMONIC}): '{name}' is {value}, "
                f"which does not fit its {bits} bits"
            )


@pytest.mark.parametrize("name", ["wait", "post"])
@pytest.mark.parametrize("value", [15, 16, -1, "0", 1.0])
def test_what_is_not_a_semaphore_is_refused(name, value):
    with pytest.raises(MachineError, match=f"'{name}' is .*, which is not a semaphore"):
        encode_commands(QUEUE, [Wait(**{name: value})])


@pytest.mark.parametrize("value", [None, "3", 2.0])
def test_what_is_not_an_integer_is_refused(value):
    command = TopK(values=0, index=0, count=value, k=0)
    with pytest.raises(MachineError, match=r"'count' is .*, which is not an integer"):
        encode_commands(QUEUE, [command])


def test_what_is_not_a_command_is_refused():
    with pytest.raises(MachineError, match="queue tensor, command 0: 'gemm' is not a command"):
        encode_commands(QUEUE, ["gemm"])


def test_numpy_integers_are_integers():
    command = Gemm(a=np.int64(2**32 - 1), b=np.uint32(7), c=np.int32(1), shape=np.int64(0))
    (decoded,) = decode_commands(QUEUE, encode_commands(QUEUE, [command]))
    assert decoded == Gemm(a=2**32 - 1, b=7, c=1, shape=0)
    assert {type(v) for v in dataclasses.astuple(decoded)} == {int, type(None)}


def test_an_unknown_opcode_is_refused():
    data = encode_commands(QUEUE, [Fence()]) + bytes([0x7F]) + bytes(31)
    with pytest.raises(MachineError, match="queue tensor, command 1: unknown opcode 0x7f"):
        decode_commands(QUEUE, data)


@kinds
def test_bits_of_no_field_must_be_zero(kind):
    data = encode_commands(QUEUE, [kind(**dict.fromkeys(LAYOUTS[kind].names, 0))])
    end = LAYOUTS[kind].end
    for bit in range(end, 256, 8):
        spoilt = (int.from_bytes(data, "little") | 1 << bit).to_bytes(32, "little")
        with pytest.raises(MachineError, match=f"command 0 .*: reserved bits from bit {end} on"):
            decode_commands(QUEUE, spoilt)


def test_a_command_that_is_cut_short_is_refused():
    with pytest.raises(MachineError, match="33 bytes, which is not a multiple of 32"):
        decode_commands(QUEUE, bytes(33))
