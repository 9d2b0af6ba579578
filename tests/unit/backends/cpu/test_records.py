"""Dataclasses survive being written and read; anything else in a file is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.cpu.arena import ArenaPlan
from ssft.compiler.backends.cpu.cache.records import dump, load
from ssft.compiler.backends.cpu.schedule import Buffer, Call, Kernel, Operand, Schedule
from ssft.compiler.plan_schema import (
    ArgumentInfo,
    Mask,
    Permutation,
    ResultInfo,
    StepSignature,
    Tile,
    WeightsFile,
)


def through(record: Any) -> Any:
    return load(type(record), memoryview(b"".join(dump(record))))


@dataclass(frozen=True)
class Part:
    number: int
    data: bytes = b""


@dataclass(frozen=True)
class Everything:
    text: str
    real: float
    flag: bool
    parts: list[Part]
    pair: tuple[int, str]
    many: tuple[Part, ...]
    numbers: Mapping[int, float]
    maybe: Part | None
    loose: str | int | None
    anything: Mapping[str, Any]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
part = st.builds(Part, st.integers(), st.binary())
everything = st.builds(
    Everything,
    text=st.text(),
    real=st.floats(allow_nan=False),
    flag=st.booleans(),
    parts=st.lists(part),
    pair=st.tuples(st.integers(), st.text()),
    many=st.lists(part).map(tuple),
    numbers=st.dictionaries(st.integers(), st.floats(allow_nan=False)),
    maybe=st.none() | part,
    loose=st.none() | st.integers() | st.text(),
    anything=st.dictionaries(st.text(), plain),
)


@given(everything)
def test_round_trip(record: Everything):
    found = through(record)
    assert found == record
    assert repr(found.anything) == repr(dict(record.anything))  # 1, 1.0 and True are equal


@given(part, st.data())
def test_a_cut_is_noticed(record: Part, data: st.DataObject):
    whole = b"".join(dump(record))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError):
        load(Part, memoryview(whole[:cut]))


def test_equal_bytes_are_stored_once():
    record = Schedule([Buffer("constant", 1000, data=bytes(1000)) for _ in range(5)])
    assert sum(map(len, dump(record))) < 2000
    assert through(record) == record


def test_floats_that_json_does_not_know():
    found = through(Everything("", math.inf, True, [], (1, ""), (), {1: math.nan}, None, None, {}))
    assert found.real == math.inf and math.isnan(found.numbers[1])


def test_programs():
    schedule = Schedule(
        [Buffer("argument", 4, 1), Buffer("constant", 3, data=b"abc"), Buffer("temporary", 64)],
        [Call("k", (Operand(0, 0, 4, False), Operand(2, 8, 4, True)), "note"), Call("k", ())],
        {"k": Kernel("k", "text", 2, 7, (0, 1), {"@g": "global"})},
    )
    signature = StepSignature(
        (
            ArgumentInfo(0, "trainable", "w", (4, 2), "f32", aliases=("v",), permuted=("g", "2")),
            ArgumentInfo(1, "input", "i", (), "i64", range=(0, 9), ignore=-100),
            ArgumentInfo(2, "state", "w", (4, 2), "f32", "m", tile=Tile((1,), None), buffer=True),
            ArgumentInfo(3, "trainable", "u", (3,), "f32", mask=Mask(None, (1, 2), "union")),
        ),
        (ResultInfo(0, (), "f32", "loss"), ResultInfo(1, (4, 2), "f32", updates_arg=0)),
        {"g": Permutation(4, (2, 0))},
        WeightsFile("w.safetensors", "00ff"),
        version=1,
        optimizer={"kind": "AdamW", "betas": (0.9, 0.999), "lr": 1e-4},
        max_grad_norm=1.0,
    )
    for record in (schedule, signature, ArenaPlan({2: 0, 5: 64}, 128)):
        assert through(record) == record


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"12345678",
        (5).to_bytes(8, "little") + b"[[],[",
        (9).to_bytes(8, "little") + b"[[1],[]]x",
        (11).to_bytes(8, "little") + b"[[1, 7],[]]",
        (7).to_bytes(8, "little") + b"[{},[]]",
        (9).to_bytes(8, "little") + b"[null,[]]",
        (2).to_bytes(8, "little") + b"{}",
        (5).to_bytes(8, "little") + b"\xff\xff\xff\xff\xff",
    ],
)
def test_other_data_is_refused(data: bytes):
    with pytest.raises(ValueError):
        load(Part, memoryview(data))


def test_what_is_no_data_is_refused():
    with pytest.raises(TypeError, match="a function cannot be stored"):
        dump(Everything("", 0.0, True, [], (1, ""), (), {}, None, None, {"f": lambda: None}))
