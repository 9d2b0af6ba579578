"""Training the passes' output is training densely with masked gradients, to fp64 rounding.

No model and no torch: the step is written by hand, the reference is NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest

from ssft.compiler.analysis.cost import weight_gradient_operations
from ssft.compiler.analysis.step import find_step
from ssft.compiler.backends.cpu import CpuOptions, compile_step
from ssft.compiler.permutation import axis_orders, permute, unpermute
from ssft.compiler.pipelines.named import RECOGNISE, specialise
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import ArgumentInfo, Mask, StepSignature, read_signature
from ssft.compiler.recipes import Recipe
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

from .two_layers import LR, SHAPES, I, Reference, T, selection, step_text

STEPS = 3


def specialised(recipe: Recipe) -> ir.Module:
    """The step after all passes. The module owns its context."""
    with new_context(), ir.Location.unknown():
        module = ir.Module.parse(step_text())
    run_pipeline(module, RECOGNISE)
    run_pipeline(module, specialise(recipe))
    return module


def masks_of(signature: StepSignature) -> dict[str, Mask | None]:
    return {a.name: a.mask or Mask() for a in signature.with_role("trainable")} | {
        a.name: None for a in signature.with_role("frozen")
    }


def dense_part(argument: ArgumentInfo, whole: np.ndarray) -> np.ndarray:
    """The rows and columns of `whole` that a state's tile holds."""
    tile = argument.tile
    lists = (None, None) if tile is None else (tile.rows, tile.columns)
    return whole[
        np.ix_(*(range(n) if i is None else i for i, n in zip(lists, whole.shape, strict=True)))
    ]


def check_training(module: ir.Module) -> StepSignature:
    """Trains natively and in NumPy, comparing everything; returns the signature."""
    signature = read_signature(module)
    orders = axis_orders(signature.permutations)
    random = np.random.default_rng(0)
    weights = {name: random.standard_normal(shape) / 2 for name, shape in SHAPES.items()}
    arrays = []
    for argument in signature.arguments:
        if argument.role in ("trainable", "frozen"):
            layouts = argument.permuted or tuple(map(str, argument.shape))
            array = permute(weights[argument.name], layouts, orders).copy()
        else:
            array = np.zeros(argument.shape)
        arrays.append(array)
    by_name = {a.name: array for a, array in zip(signature.arguments, arrays, strict=True)}
    by_name["lr"][...] = LR
    loss = np.zeros(())
    program = compile_step(str(module), CpuOptions(parallel=False))
    reference = Reference(weights, masks_of(signature))
    for _ in range(STEPS):
        by_name["x"][...] = random.standard_normal((T, I))
        expected = reference.step(by_name["x"])
        program.run([array.ctypes.data for array in (*arrays, loss)])
        np.testing.assert_allclose(loss, expected, rtol=1e-12)
        for argument, array in zip(signature.arguments, arrays, strict=True):
            layouts = argument.permuted or tuple(map(str, argument.shape))
            if argument.role in ("trainable", "frozen"):
                want = reference.weights[argument.name]
            elif argument.role == "state":
                want = dense_part(argument, reference.moments[argument.name])
            else:
                continue
            found = unpermute(array, layouts, orders)
            np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-13, err_msg=str(argument))
    return signature


def random_mask(random: np.random.Generator, shape: tuple[int, int]) -> str:
    """The end of an explicit mask: rows, columns, a block or a union, scattered or not."""
    lists = []
    for size in shape:
        count = int(random.integers(1, size))
        first = int(random.integers(size - count + 1))
        scattered = random.choice(size, count, replace=False)
        chosen = sorted(scattered) if random.integers(2) else range(first, first + count)
        lists.append("+".join(map(str, chosen)))
    rows, columns = f":rows={lists[0]}", f":columns={lists[1]}"
    return [rows, columns, rows + columns, rows + columns + ":union"][random.integers(4)]


@pytest.mark.parametrize("seed", range(8))
def test_random_masks(seed):
    random = np.random.default_rng(seed)
    masks = tuple(f"{name}{random_mask(random, shape)}" for name, shape in SHAPES.items())
    signature = check_training(specialised(Recipe("explicit", masks=masks)))
    assert all(a.mask is not None for a in signature.with_role("trainable"))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("full"),
        Recipe("s2ft", ratio=0.3),
        Recipe("rows", ratio=0.3),
        Recipe("union", ratio=0.3),
        Recipe("block", ratio=0.5, freeze=("up",)),
        Recipe("explicit", masks=("down:columns=0-7",)),
    ],
    ids=lambda recipe: recipe.method,
)
def test_recipes(recipe):
    check_training(specialised(recipe))


def test_what_trains_is_what_is_computed():
    """The sizes of the gradients, and no gradient of what is frozen."""
    module = specialised(Recipe("explicit", masks=("down:rows=0:columns=1-3:union",)))
    signature = read_signature(module)
    trained = [a for a in signature.with_role("trainable") if a.mask is not None]
    elements = sum(int(selection(a.mask, (a.shape[0], a.shape[1])).sum()) for a in trained)
    products = weight_gradient_operations(find_step(module.operation))
    sizes = [int(np.prod(op.results[0].type.shape)) for op in products]
    assert sum(sizes) == elements == 8 + 3 * 3
    states = [a.elements for a in signature.with_role("state")]
    assert sum(states) == elements


def test_trained_channels_become_contiguous():
    module = specialised(Recipe("explicit", masks=("down:columns=1+4+6",)))
    text = str(module)
    assert "ssft.gather" not in text and "ssft.scatter" not in text
    (permutation,) = read_signature(module).permutations.values()
    assert permutation.front == (1, 4, 6)


def test_nothing_trains():
    """No gradients are left, and the loss is still there."""
    module = specialised(Recipe("explicit"))
    signature = read_signature(module)
    assert [result.role for result in signature.results] == ["loss"]
    assert list(signature.with_role("trainable", "state")) == []
    assert not weight_gradient_operations(find_step(module.operation))
    assert str(module).count("linalg.matmul") == 2
