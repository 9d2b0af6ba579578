"""Every selection method on a family of models: twenty clipped steps, as masked dense PyTorch.

Methods come from the registry, so that a new one is held to this without being named anywhere.
Most run in the NumPy interpreter, and on each family two are compiled to machine code, which takes
longer than all the rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from functools import cache
from itertools import repeat
from pathlib import Path

import torch
from families import FAMILIES
from side_by_side import Captured, train_both
from small_models import captured

from ssft.compiler import Recipe
from ssft.compiler.driver import Options, compile_module
from ssft.compiler.frontend.arrays import to_arrays
from ssft.compiler.plan import Plan
from ssft.compiler.recipes.registry import method_names
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

STEPS = 20
RATIO = 0.25
BLOCK = "8x12"
"""Divides no matrix evenly in both dimensions."""

VARIANTS = {"s2ft-global": {"method": "s2ft", "budget": "global", "seed": 1}}
"""Recipes beyond one per method."""

BATCHES = 2
"""That methods which choose by importance may measure the model with."""


def cases(families: Collection[str]) -> list[tuple[str, str, str]]:
    """All (family, recipe, device); S2FT and one more recipe in turn go to the CPU."""
    recipes = [*method_names(), *VARIANTS]
    others = [name for name in recipes if name not in ("s2ft", "bias")]
    return [
        (family, name, "cpu" if name in ("s2ft", others[number % len(others)]) else "numpy")
        for number, family in enumerate(FAMILIES)
        if family in families
        for name in recipes
    ]


def recipe(name: str, family: str) -> Recipe:
    options = VARIANTS.get(name, {"method": name})
    if name == "explicit":
        options |= {"masks": tuple(_some_blocks(model(family).model))}
    common = {"ratio": RATIO, "block": BLOCK, "statistics": str(statistics(family))}
    return Recipe(**{**common, **options})


def check_case(family: str, name: str, device: str) -> Plan:
    """Trains `STEPS` clipped steps beside masked dense PyTorch in double precision."""
    made = model(family)
    plan = made.compile(recipe(name, family))
    if name == "bias" and not has_biases(made.model):
        assert plan.report()["trainable_parameters"] == 0
        return plan
    found = train_both(made, plan, STEPS, device=device)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
    assert found.frozen_changed == []
    assert len(set(found.losses)) == STEPS
    return plan


def has_biases(model: torch.nn.Module) -> bool:
    return any(name.endswith("bias") for name, _ in model.named_parameters())


@cache
def model(family: str) -> Captured:
    torch.manual_seed(0)
    made, batch = FAMILIES[family]()
    return captured(made.train(), batch, _adamw)


@cache
def statistics(family: str) -> Path:
    """A file with measurements of the family's model, made once for all methods."""
    directory = Path(tempfile.mkdtemp(prefix="ssft-measured-"))
    file = directory / "measured.safetensors"
    made, context = model(family), new_context()
    options = Options(batches=lambda inputs: repeat(made.batch), save_statistics=file)
    weights = dict(made.model.named_parameters()) | dict(made.model.named_buffers())
    module = ir.Module.parse(made.text, context)
    # Sensitivity is measured only if it is asked for; everything else always is.
    recipe = Recipe("full", calibrate=BATCHES, importance="sensitivity")
    compile_module(context, module, to_arrays(weights), recipe, options)
    return file


def _adamw(parameters):
    # Small enough that twenty steps do not magnify the last digit beyond what is compared.
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)


def _some_blocks(model: torch.nn.Module) -> list[str]:
    """Masks without any pattern in them on every second matrix."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    names = [name for name, p in trained if p.dim() == 2 and min(p.shape) > 7]
    return [f"{name}:rows=0+3+5:columns=1+2+7" for name in names[::2]]
