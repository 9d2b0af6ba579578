"""Sizes in messages: small ones are not rounded away, and different ones look different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.byte_sizes import enough, parse_bytes, readable, told_apart

sizes = st.integers(1, 2**50)


@pytest.mark.parametrize(
    ("size", "binary", "decimal"),
    [
        (0, "0 B", "0 B"),
        (812, "812 B", "812 B"),
        (1010, "1,010 B", "1.01 kB"),
        (64_000, "62.5 KiB", "64 kB"),
        (26_000_000, "24.8 MiB", "26 MB"),
        (3 << 60, "3,145,728 TiB", "3,458,765 TB"),
    ],
)
def test_sizes_for_people(size: int, binary: str, decimal: str):
    assert readable(size) == binary
    assert readable(size, decimal=True) == decimal


@given(sizes, sizes, st.booleans())
def test_different_sizes_look_different(first: int, second: int, decimal: bool):
    for other in (second, first + 1):
        texts = told_apart(first, other, decimal=decimal)
        assert (texts[0] == texts[1]) == (first == other)


@given(sizes)
def test_what_is_enough_is_enough_and_little_more(size: int):
    assert size <= parse_bytes(enough(size)) <= size + max(1, size // 1000)
