"""Random steps on machines of random size: every bit is what the interpreter computes."""

from __future__ import annotations

import numpy as np
import pytest
from accelerator_steps import accelerator, in_random_order, machine, run, same_bits
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from random_steps import RandomStep, random_steps

from ssft.compiler.backends.hw import Precision
from ssft.compiler.backends.interpreter import interpret_step
from ssft.compiler.diagnostics import UserError

SCRATCHPADS = (1 << 11, 1 << 12, 3 << 12, 1 << 14, 1 << 16)
"""The tensors of a step have up to 24,000 bytes each."""

PRECISIONS: st.SearchStrategy[Precision] = st.sampled_from(("bf16", "f32"))
SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck))


def check(step: RandomStep, size: int | None, precision: Precision, seed: int) -> None:
    program = accelerator(step.text, machine("ssft-server", size), precision)
    expected = run(interpret_step(step.text, precision), step.arguments)
    for ordered in (program, in_random_order(program, seed)):
        found = run(ordered, step.arguments)
        different = [
            number
            for number, (one, other) in enumerate(zip(found, expected, strict=True))
            if not same_bits(one, other)
        ]
        assert not different


@given(random_steps(), PRECISIONS)
@settings(SETTINGS, max_examples=100)
def test_everything_fits(step, precision):
    """The whole step is legal, and the scratchpad large: nothing may be refused."""
    check(step, None, precision, 0)


@given(random_steps(), st.sampled_from(SCRATCHPADS), PRECISIONS, st.integers(0, 9))
@settings(SETTINGS, max_examples=150)
def test_small_scratchpads(step, size, precision, seed):
    try:
        check(step, size, precision, seed)
    except UserError as error:
        assert "scratchpad" in error.message
        event("does not fit")


def test_the_generator_makes_what_it_says():
    """Random steps contain every kind of operation, and several results."""
    kinds = ("linalg.generic", "reduction", "linalg.transpose", "tensor.concat", "tensor.pad",
             "tensor.extract_slice", "tensor.insert_slice", "tensor.collapse_shape",
             "tensor.expand_shape", "ssft.gather", "ssft.scatter\"", "ssft.scatter_add",
             "ssft.save_slice", "ssft.update", "tensor.extract ", "arith.mulf %x0, %x1",
             "linalg.index", "updates_arg")  # fmt: skip
    seen: set[str] = set()

    @given(random_steps())
    @settings(SETTINGS, max_examples=200, derandomize=True, database=None)
    def collect(step):
        seen.update(kind for kind in kinds if kind in step.text)

    collect()
    assert seen == set(kinds)


def test_a_wrong_bit_is_noticed():
    assert same_bits(np.float32([1, np.nan]), np.float32([1, np.nan]))
    assert not same_bits(np.float32([0.0]), np.float32([-0.0]))
    assert not same_bits(np.float32([np.nan, 1]), np.float32([1, np.nan]))
    assert not same_bits(np.float32([1]), np.float64([1]))


@pytest.mark.parametrize("size", [None, 1 << 12])
@given(step=random_steps(most=20))
@settings(SETTINGS, max_examples=15)
def test_longer_steps(size, step):
    try:
        check(step, size, "bf16", 0)
    except UserError as error:
        assert size is not None and "scratchpad" in error.message
