"""Rounding to bfloat16: to nearest even, once, from every type."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine_programs import to_bf16

from ssft.hwmodel.machine.rounding import (
    bf16_bits,
    bf16_values,
    integer_to_bf16,
    round_to_bf16,
)


def test_every_bf16_keeps_its_bits():
    every = np.arange(1 << 16, dtype=np.uint16)
    values = bf16_values(every)
    numbers = ~np.isnan(values)
    assert np.array_equal(bf16_bits(values)[numbers], every[numbers])
    assert np.isnan(bf16_values(bf16_bits(values))[~numbers]).all()


def test_halves_go_to_even_and_their_neighbours_do_not():
    below = np.arange(0x7F00, dtype=np.int64)
    half = (below << 16) + 0x8000
    for offset, expected in ((-1, below), (0, below + (below & 1)), (1, below + 1)):
        for sign in (0, 0x8000_0000):
            values = (half + offset + sign).astype(np.uint32).view(np.float32)
            assert np.array_equal(bf16_bits(values), expected + (sign >> 16))


def test_overflow_and_not_a_number():
    largest = np.float32(3.3895314e38)
    assert bf16_values(bf16_bits(np.array([3.4e38, largest, np.inf], np.float32))).tolist() == [
        np.inf,
        float(largest),
        np.inf,
    ]
    # Only the low half of the word says that this is no number.
    low = np.array([0x7F80_0001, 0xFFFF_FFFF], np.uint32).view(np.float32)
    assert np.isnan(bf16_values(bf16_bits(low))).all()


def nearest(value: Fraction) -> float:
    """The bf16 nearest to a positive fraction, by exact arithmetic."""
    low = float(to_bf16(np.float32(float(value))))
    near = bf16_values(bf16_bits(np.array([low], np.float32)) + np.arange(-1, 2).astype(np.uint16))
    return min(near.tolist(), key=lambda x: (abs(Fraction(x) - value), int(bf16_bits_of(x)) & 1))


def bf16_bits_of(value: float) -> np.uint16:
    return bf16_bits(np.array([value], np.float32))[0]


@given(st.integers(0x0081, 0x7F00), st.integers(-3, 3), st.sampled_from([1, 2.0**-20]))
def test_f64_is_rounded_once(low, steps, scale):
    half = float(bf16_values(np.array([low], np.uint16))[0]) * 0.5 + 0.5 * float(
        bf16_values(np.array([low + 1], np.uint16))[0]
    )
    value = half * (1 + steps * scale * 2.0**-32)
    rounded = float(round_to_bf16(np.array([value], np.float64))[0])
    assert rounded == nearest(Fraction(value))


def test_rounding_f64_by_way_of_f32_would_be_wrong():
    value = np.array([1 + 2.0**-8 + 2.0**-40])
    assert round_to_bf16(value)[0] == 1 + 2.0**-7
    assert round_to_bf16(value.astype(np.float32))[0] == 1.0


def test_f64_out_of_the_range_of_f32():
    values = np.array([1e300, -1e300, 1e-300, -1e-300, 0.0, -0.0])
    rounded = round_to_bf16(values)
    assert rounded.tolist() == [np.inf, -np.inf, 0, 0, 0, 0]
    assert np.signbit(rounded).tolist() == [False, True, False, True, False, True]


@pytest.mark.parametrize("sign", [1, -1])
@given(st.integers(0x80, 0xFF), st.integers(0, 54), st.integers(-2, 2))
def test_integers_are_rounded_once(sign, top, shift, step):
    value = (2 * top + 1) * 2**shift + step
    rounded = float(integer_to_bf16(np.array([sign * value], np.int64))[0])
    assert rounded == sign * nearest(Fraction(value))
