"""The bytes of constants, as the step's memory holds them."""

from __future__ import annotations

import numpy as np
import pytest

from ssft.compiler.backends.cpu.constants import constant_bytes
from ssft.dialects import new_context
from ssft.dialects._mlir import ir


def bits(*values: int) -> bytes:
    return np.array(values, np.uint16).tobytes()


BFLOATS = {
    "dense<1.5> : tensor<2x2xbf16>": bits(*[0x3FC0] * 4),
    "dense<[[1.0, -2.0], [0x7F80, 0xFF80]]> : tensor<2x2xbf16>": bits(
        0x3F80, 0xC000, 0x7F80, 0xFF80
    ),
    'dense<"0x803F0040"> : tensor<2xbf16>': bits(0x3F80, 0x4000),
    "dense<2.0> : tensor<bf16>": bits(0x4000),
}


@pytest.mark.parametrize("text", BFLOATS)
def test_bfloat16(text):
    with new_context():
        assert constant_bytes(ir.Attribute.parse(text)) == BFLOATS[text]


def test_many_bfloat16_numbers():
    """Large constants are printed as their bytes."""
    data = (np.arange(500, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    with new_context():
        attribute = ir.Attribute.parse(f'dense<"0x{data.hex()}"> : tensor<500xbf16>')
        assert constant_bytes(attribute) == data


def test_other_types():
    with new_context():
        parse = ir.Attribute.parse
        assert constant_bytes(parse("dense<[true, false, true]> : tensor<3xi1>")) == b"\x01\x00\x01"
        half = constant_bytes(parse("dense<1.5> : tensor<3xf16>"))
        assert np.array_equal(np.frombuffer(half, np.float16), [1.5] * 3)
