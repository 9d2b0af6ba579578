"""Whole training steps of the examples, against the CPU backend and PyTorch."""

from __future__ import annotations

from functools import cache
from typing import get_args

import numpy as np
import pytest
from side_by_side import Captured, capture_example

from ssft.compiler import Recipe
from ssft.compiler.backends.cpu import CpuProgram, compile_step
from ssft.compiler.backends.interpreter import Arithmetic, InterpreterProgram, interpret_step
from ssft.compiler.buffers import storage_type
from ssft.compiler.permutation import axis_orders
from ssft.compiler.plan import Plan
from ssft.runtime.layout import full_layout

NATIVE = 1e-5
"""Both sides add up to 256 terms in f32, in other orders, in a few dozen contractions in a row."""

BF16 = 0.1
"""Factors are off by 2**-9 each; those of a few dozen contractions in a row might all add up."""

EXAMPLES = {
    "tiny_llama.py": Recipe("union", ratio=0.25),
    "hf_llama_gqa_sdpa.py": Recipe("s2ft", ratio=0.25),
}


@cache
def captured(name: str) -> Captured:
    return capture_example(name, "f32")


@cache
def compiled(name: str) -> Plan:
    return captured(name).compile(EXAMPLES[name])


def arguments(name: str, *, fresh: bool) -> list[np.ndarray]:
    """The step's arguments: a fresh start, or moments as they are in the midst of training.

    Adam's first step divides gradients by their own size, rounding errors by rounding errors.
    """
    plan, random = compiled(name), np.random.default_rng(0)
    weights = plan.stored_weights()
    signature = plan.signature()
    scalars = {"hyper": signature.optimizer["lr"], "step": 0 if fresh else 5}
    made = []
    for info in signature.arguments:
        if info.role in ("trainable", "frozen"):
            value = weights[info.name].data
        elif info.role == "input":
            value = captured(name).batch[info.name].numpy()
        elif info.role == "state":
            value = np.zeros(info.shape) if fresh else random.uniform(1e-6, 1e-4, info.shape)
        else:
            value = scalars[info.role]
        made.append(np.array(value, storage_type(info.dtype)).reshape(info.shape))
    return made


def run(program: CpuProgram | InterpreterProgram, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Runs a step; returns all results, updates among them."""
    outputs = [np.zeros(info.shape, storage_type(info.dtype)) for info in program.outputs]
    program.run([array.ctypes.data for array in [*arrays, *outputs]])
    others = iter(outputs)
    return [
        next(others) if result.updates_arg is None else arrays[result.updates_arg]
        for result in program.signature.results
    ]


def difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The worst difference relative to the largest number of each result."""
    return max(
        float(np.abs(a.astype(np.float64) - b).max() / max(np.abs(b).max(), 1e-30))
        for a, b in zip(found, expected, strict=True)
        if b.size
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_step_is_that_of_the_cpu(name):
    text = compiled(name).text()
    expected = run(compile_step(text), arguments(name, fresh=False))
    assert difference(run(interpret_step(text), arguments(name, fresh=False)), expected) < NATIVE


@pytest.mark.parametrize("name", EXAMPLES)
def test_loss_and_gradients_are_those_of_pytorch(name):
    plan = compiled(name)
    signature = plan.signature()
    oracle = captured(name).reference(plan)
    loss = oracle.step(captured(name).batch)
    results = run(interpret_step(plan.text()), arguments(name, fresh=True))
    assert float(results[0]) == pytest.approx(loss, rel=NATIVE)
    orders = axis_orders(signature.permutations)
    shapes = {info.name: info.shape for info in signature.parameters}
    parts: dict[str, list] = {}
    for info, array in zip(signature.results, results, strict=True):
        if info.role == "gradient":
            parts.setdefault(info.name or "", []).append((info, array))
    assert set(parts) == set(oracle.gradients)
    largest = max(float(gradient.abs().max()) for gradient in oracle.gradients.values())
    for parameter, found in parts.items():
        expected = oracle.gradients[parameter].numpy()
        error = np.abs(full_layout(found, shapes[parameter], orders) - expected).max()
        assert error <= NATIVE * max(np.abs(expected).max(), 1e-3 * largest), parameter


@pytest.mark.parametrize("name", EXAMPLES)
def test_arithmetics_differ_by_their_rounding(name):
    text = compiled(name).text()
    programs = {kind: interpret_step(text, kind) for kind in get_args(Arithmetic)}
    results = {kind: run(p, arguments(name, fresh=False)) for kind, p in programs.items()}
    assert difference(results["f32"], results["native"]) < NATIVE
    assert NATIVE < difference(results["bf16"], results["native"]) < BF16
    again = programs["bf16"].evaluate(arguments(name, fresh=False))
    for first, second in zip(results["bf16"], again, strict=True):
        assert first.tobytes() == np.ascontiguousarray(second).tobytes(), "not reproducible"


@pytest.mark.parametrize("arithmetic", ["native", "f32"])
def test_training_goes_on_as_pytorch(arithmetic):
    """Some steps, whose results are the next one's arguments: the loss falls, as PyTorch's does."""
    name = "tiny_llama.py"
    plan = compiled(name)
    program, oracle = interpret_step(plan.text(), arithmetic), captured(name).reference(plan)
    arrays = arguments(name, fresh=True)
    losses = [float(run(program, arrays)[0]) for _ in range(4)]
    expected = [oracle.step(captured(name).batch) for _ in range(4)]
    assert losses == pytest.approx(expected, rel=1e-4)
    assert losses == sorted(losses, reverse=True)
