"""Training on the accelerator's functional model: bit for bit what its arithmetic says.

The interpreter computes each operation of a plan by itself, in the accelerator's arithmetic. The
accelerator cuts the same step into tiles, merges operations, keeps tensors in the scratchpad or in
DRAM in other formats, updates parameters in place, and runs five queues at once: none of this may
change a bit of any result, in any of several steps. Against the CPU, results differ by rounding.
Of each program it is also known whose bytes every operand is, and which rows and columns it writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from accelerator_steps import accelerator, advanced, in_random_order, machine, run, same_bits
from hw_traffic import check_traffic, check_updates
from side_by_side import EXAMPLES, Captured, capture_example

from ssft.compiler import Recipe
from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.backends.cpu import compile_step
from ssft.compiler.backends.hw import Precision
from ssft.compiler.backends.interpreter import interpret_step
from ssft.compiler.buffers import batch_arrays
from ssft.compiler.frontend import capture, load_model_file
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.runtime import Session

STEPS = 3
ROUNDING = 2 * 2.0**-8
"""A product whose two factors are rounded to 8 significant bits, each off by up to 2**-8."""

MODELS = {
    "tiny-llama": "tiny_llama.py",
    "llama-mha": "hf_llama_mha_eager.py",
    "llama-gqa": "hf_llama_gqa_sdpa.py",
    "minilm": "minilm_docstrings/model.py",
}
RECIPES = {
    "full": Recipe("full"),
    "s2ft": Recipe("s2ft", ratio=0.3, train=("*norm*",)),
    "rows": Recipe("rows", ratio=0.2),
    "columns": Recipe("paca", ratio=0.1),
    "block": Recipe("block", ratio=0.25, seed=1),
    "union": Recipe("union", ratio=0.2, seed=2),
}
# What is small keeps little where it is: everything is cut into tiles and goes through DRAM.
MACHINES = {
    "server": ("ssft-server", None),
    "edge": ("ssft-edge", None),
    "small": ("ssft-server", 80 << 10),
    "smallish": ("ssft-server", 512 << 10),
}

HARD = ("s2ft", "union")
CASES = [
    *[("tiny-llama", recipe, "small") for recipe in RECIPES],
    *[("llama-gqa", recipe, "small") for recipe in RECIPES],
    *[("llama-mha", recipe, "small") for recipe in HARD],
    *[("minilm", "s2ft", name) for name in ("server", "edge", "smallish")],
    *[("minilm", "full", "server"), ("minilm", "rows", "edge"), ("minilm", "union", "smallish")],
    *[("tiny-llama", recipe, name) for recipe in ("full", "union") for name in ("server", "edge")],
    *[("llama-gqa", "s2ft", name) for name in ("server", "edge")],
]


@dataclass
class Plan:
    """A plan's text, the arguments of its first step, and what its report says trains."""

    text: str
    arguments: list[np.ndarray]
    masks: list[dict[str, Any]]

    @property
    def signature(self) -> StepSignature:
        return read_signature(ir.Module.parse(self.text, new_context()))


@dataclass
class Plans:
    """Every model is captured once and every plan compiled once."""

    models: dict[str, Captured] = field(default_factory=dict)
    plans: dict[tuple[str, str], Plan] = field(default_factory=dict)

    def __call__(self, model: str, recipe: str) -> Plan:
        if model not in self.models:
            self.models[model] = _minilm() if model == "minilm" else _example(model)
        if (model, recipe) not in self.plans:
            made = self.models[model]
            self.plans[model, recipe] = _plan(made, _recipe(model, recipe))
        return self.plans[model, recipe]


def _example(model: str) -> Captured:
    return capture_example(MODELS[model], "f32")


def _minilm() -> Captured:
    """Six layers with their published weights; two sentences of eight tokens."""
    definition = load_model_file(EXAMPLES / MODELS["minilm"])
    with definition.running():
        model, batch = definition.call("model"), definition.call("batch")
    batch = {key: value[:2, :8] if value.ndim > 1 else value[:2] for key, value in batch.items()}
    made = Captured(definition, model, batch, "", "f32", 1.0)
    step = capture(
        model, batch, loss=definition.loss, optimizer=definition.optimizer, max_grad_norm=1.0
    )
    made.text = step.module.operation.get_asm(enable_debug_info=True)
    return made


def _recipe(model: str, name: str) -> Recipe:
    # Sums that nearly cancel: of gradients of MiniLM's norms, f32 gets four digits.
    chosen = RECIPES[name]
    return chosen.changed({"train": ("classifier.*",)}) if model == "minilm" else chosen


def _plan(made: Captured, recipe: Recipe) -> Plan:
    plan = made.compile(recipe)
    session = Session.from_text(plan.text(), plan.stored_weights(), device="numpy")
    inputs = batch_arrays(session.signature.inputs, made.batch)
    arguments = [
        inputs[info.name] if info.role == "input" else array
        for info, array in zip(session.signature.arguments, session._arrays, strict=True)
    ]
    return Plan(plan.text(), arguments, plan.report()["masks"])


@pytest.fixture(scope="module")
def plans() -> Plans:
    return Plans()


def names(signature: StepSignature) -> list[str]:
    """What each result is."""
    return [
        f"new {signature.arguments[r.updates_arg].name}, {signature.arguments[r.updates_arg].state}"
        if r.updates_arg is not None
        else f"{r.role} {r.name}"
        for r in signature.results
    ]


def check(plan: Plan, preset: str, size: int | None, precision: Precision) -> list[float]:
    """Compares every result of some steps; returns the losses."""
    program = accelerator(plan.text, machine(preset, size), precision)
    check_updates(check_traffic(program.program, machine(preset, size)), plan.masks)
    reference = interpret_step(plan.text, precision)
    arguments, losses = plan.arguments, []
    for step in range(STEPS):
        expected = run(reference, arguments)
        found = run(program, arguments)
        different = [
            name
            for name, one, other in zip(names(plan.signature), found, expected, strict=True)
            if not same_bits(one, other)
        ]
        assert not different, f"in step {step}"
        losses.append(float(found[0]))
        arguments = advanced(plan.signature, arguments, found)
    shuffled = run(in_random_order(program, seed=1), plan.arguments)
    again = run(program, plan.arguments)
    assert all(same_bits(one, other) for one, other in zip(shuffled, again, strict=True))
    return losses


@pytest.mark.parametrize(("model", "recipe", "name"), CASES)
def test_three_steps_bit_for_bit(plans, model, recipe, name):
    losses = check(plans(model, recipe), *MACHINES[name], "bf16")
    assert len(set(losses)) == STEPS, "nothing was learnt"


@pytest.mark.parametrize(
    ("model", "recipe"), [("tiny-llama", "union"), ("llama-gqa", "s2ft"), ("minilm", "s2ft")]
)
def test_single_precision_bit_for_bit(plans, model, recipe):
    check(plans(model, recipe), *MACHINES["edge"], "f32")


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest number."""
    expected = expected.astype(np.float64)
    scale = np.abs(expected).max(initial=0.0)
    error = np.abs(found.astype(np.float64) - expected).max(initial=0.0)
    return float(error / scale) if scale else float(error)


def compared(signature: StepSignature) -> list[int]:
    """Losses, gradients and moments; Adam divides gradients that are rounding by rounding."""
    moments = {info.index for info in signature.arguments if info.role == "state"}
    return [
        number
        for number, result in enumerate(signature.results)
        if result.role in ("loss", "gradient") or result.updates_arg in moments
    ]


@pytest.mark.parametrize(
    ("model", "recipe"),
    [("tiny-llama", "full"), ("tiny-llama", "rows"), ("llama-gqa", "union"), ("minilm", "s2ft")],
)
def test_single_precision_is_that_of_the_cpu(plans, model, recipe):
    plan = plans(model, recipe)
    signature = plan.signature
    program, cpu = accelerator(plan.text, machine("ssft-edge"), "f32"), compile_step(plan.text)
    arguments = plan.arguments
    for _ in range(STEPS):
        found, expected = run(program, arguments), run(cpu, arguments)
        for number in compared(signature):
            error = difference(found[number], expected[number])
            assert error <= 1e-5, names(signature)[number]
        arguments = advanced(signature, arguments, expected)


def contractions_behind(text: str) -> list[int]:
    """For each result, the number of contractions in a row on the longest way to it."""
    module = ir.Module.parse(text, new_context())
    step = step_ir.find_step(module.operation)
    depth: dict[ir.Value, int] = {}
    for op in step_ir.operations(step):
        before = max((depth.get(operand, 0) for operand in op.operands), default=0)
        for result in op.results:
            depth[result] = before + (as_contraction(op) is not None)
    return [depth.get(value, 0) for value in step_ir.terminator(step).operands]


BOUNDED = [("tiny-llama", "full"), ("tiny-llama", "rows"), ("llama-gqa", "union")]
BOUNDED += [("minilm", "s2ft")]


@pytest.mark.parametrize(("model", "recipe"), BOUNDED)
def test_bf16_is_the_cpu_but_for_rounding(plans, model, recipe):
    """Every contraction on the way adds at most 2**-7 of the sum of its terms' absolute values.

    Where few terms cancel, that is 2**-7 of the result; D of them in a row, D times that. Adam
    moves no weight by more than its rate (and in the first steps not by less, be the gradient ever
    so small), so weights differ by at most twice the rate in a step.
    """
    plan = plans(model, recipe)
    signature, depths = plan.signature, contractions_behind(plan.text)
    program, cpu = accelerator(plan.text, machine("ssft-server")), compile_step(plan.text)
    rate, arguments = signature.optimizer["lr"], plan.arguments
    assert depths[0] > 10
    for _ in range(STEPS):
        found, expected = run(program, arguments), run(cpu, arguments)
        for number, result in enumerate(signature.results):
            one, other = found[number], expected[number]
            if result.role in ("loss", "gradient"):
                error = difference(one, other)
                assert error <= depths[number] * ROUNDING, names(signature)[number]
                assert error > 0, "nothing was rounded"
            elif result.updates_arg is not None:
                info = signature.arguments[result.updates_arg]
                if info.role == "trainable":
                    assert np.abs(one - other).max() <= 2.01 * rate, info.name
        arguments = advanced(signature, arguments, expected)


PRODUCT = """
module {
func.func @step(
    %a: tensor<MxKxf32> {ssft.role = "input", ssft.name = "a"},
    %b: tensor<KxNxf32> {ssft.role = "input", ssft.name = "b"}
) -> (tensor<MxNxf32> {ssft.role = "metric", ssft.name = "c"}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<MxNxf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<MxNxf32>) -> tensor<MxNxf32>
  %c = linalg.matmul ins(%a, %b : tensor<MxKxf32>, tensor<KxNxf32>)
    outs(%z : tensor<MxNxf32>) -> tensor<MxNxf32>
  return %c : tensor<MxNxf32>
}
}
"""


@pytest.mark.parametrize("k", [1, 16, 1000])
def test_a_product_is_off_by_the_rounding_of_its_factors(k):
    """2 * 2**-8 (and its square) of the sum of the absolute values of its K terms.

    The f32 sums add 2**-24 for each of the 4 levels of a group's tree and each of K/16 groups.
    """
    m, n = 33, 20
    text = PRODUCT.replace("MxK", f"{m}x{k}").replace("KxN", f"{k}x{n}").replace("MxN", f"{m}x{n}")
    random = np.random.default_rng(k)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    (found,) = run(accelerator(text, machine("ssft-server", 1 << 14)), [a, b])
    exact = a.astype(np.float64) @ b.astype(np.float64)
    terms = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    sums = (4 + -(-k // 16)) * 2.0**-24
    assert (np.abs(found - exact) <= (ROUNDING + 2.0**-16 + sums) * terms).all()
    assert not np.allclose(found, exact, rtol=1e-5)
