"""Trains a plan and masked dense PyTorch side by side, for the differential tests."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import os
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from precision import double_precision

from ssft.compiler import Recipe
from ssft.compiler.driver import Options, compile_module
from ssft.compiler.frontend import capture, load_model_file
from ssft.compiler.frontend.arrays import to_arrays
from ssft.compiler.plan import Plan
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.runtime import Session
from ssft.runtime.torch_bridge import MaskedTraining, plan_masks

EXAMPLES = Path(__file__).parents[2] / "examples"
DEVICE = os.environ.get("SSFT_TEST_DEVICE", "cpu")
"""What plans are trained on where a test does not say: ``cpu:avx2``, ``cpu:emitted``, …"""
ROUNDING = 1e-6
"""A gradient smaller than this share of the largest one of the model is zero but for rounding."""


@dataclass
class Captured:
    """A model file captured once, compiled under as many recipes as wanted."""

    definition: Any
    model: torch.nn.Module
    batch: dict[str, torch.Tensor]
    text: str
    dtype: str
    max_grad_norm: float

    def precision(self) -> contextlib.AbstractContextManager[None]:
        return double_precision() if self.dtype == "f64" else contextlib.nullcontext()

    def compile(self, recipe: Recipe) -> Plan:
        context = new_context()
        module = ir.Module.parse(self.text, context)
        weights = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        options = Options(gradients=True, batches=lambda inputs: repeat(self.batch))
        return compile_module(context, module, to_arrays(weights), recipe, options)

    def reference(self, plan: Plan, *, double: bool = False) -> MaskedTraining:
        model = copy.deepcopy(self.model)
        return MaskedTraining(
            model.double() if double else model,
            plan_masks(plan.signature()),
            self.definition.optimizer,
            self.definition.loss,
            self.max_grad_norm,
        )


def capture_example(name: str, dtype: str, max_grad_norm: float = 1.0) -> Captured:
    definition = load_model_file(EXAMPLES / name)
    with definition.running():
        model, batch = definition.call("model"), definition.call("batch")
    if dtype == "f64":
        model = model.double()
        batch = {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}
    captured = Captured(definition, model, batch, "", dtype, max_grad_norm)
    with captured.precision():
        step = capture(
            model,
            batch,
            loss=definition.loss,
            optimizer=definition.optimizer,
            max_grad_norm=max_grad_norm,
        )
    captured.text = step.module.operation.get_asm(enable_debug_info=True)
    return captured


@dataclass
class Differences:
    """The worst relative difference of each quantity over all steps; and what was frozen."""

    worst: dict[tuple[str, str], float] = field(default_factory=dict)
    gradient_size: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    frozen_changed: list[str] = field(default_factory=list)

    def record(self, what: str, name: str, value: Any, expected: Any) -> None:
        value, expected = np.asarray(value, np.float64), np.asarray(expected, np.float64)
        scale = np.abs(expected).max(initial=0.0)
        error = np.abs(value - expected).max(initial=0.0)
        relative = float(error / scale) if scale else float(error)
        self.worst[what, name] = max(self.worst.get((what, name), 0.0), relative)

    def largest(self, *kinds: str) -> tuple[float, str]:
        """The worst difference of some kinds of quantity, without gradients that are rounding."""
        limit = ROUNDING * max(self.gradient_size.values())
        found = [
            (relative, f"{what} of {name}")
            for (what, name), relative in self.worst.items()
            if what in kinds and (not name or self.gradient_size[name] >= limit)
        ]
        assert found, f"nothing of {kinds} was compared"
        return max(found)


def train_both(
    captured: Captured,
    plan: Plan,
    steps: int = 20,
    *,
    isolated: bool = False,
    device: str = DEVICE,
) -> Differences:
    """Trains the plan and its oracle on the example batch and records how they differ.

    Accumulated, both train on by themselves. Isolated, the oracle starts every step from the plan's
    weights and moments and computes in double precision: training is chaotic, so that two runs in
    single precision part however right each step is, by a factor of ten every few steps where Adam
    divides small by small; and PyTorch's own sums in single precision are off by as much as ours.
    """
    session = Session.from_text(
        plan.text(), plan.stored_weights(), device, measuring=plan.measuring
    )
    reference = captured.reference(plan, double=isolated)
    precision = double_precision if isolated else captured.precision
    batch = {
        k: v.double() if v.is_floating_point() and isolated else v
        for k, v in captured.batch.items()
    }
    start = session.state_dict()
    found = Differences()
    for _ in range(steps):
        if session.reselection_is_due:
            session.reselect(repeat(captured.batch))
            reference.set_masks(plan_masks(session.current_signature))
        if isolated:
            reference.set_state(session.state_dict(), session.optimizer_state())
        loss = session.step(captured.batch)
        with precision():
            found.record("loss", "", loss, reference.step(batch))
        found.losses.append(loss)
        weights, states, gradients = (
            session.state_dict(),
            session.optimizer_state(),
            session.gradients,
        )
        for name, parameter in reference.trained.items():
            found.record("weight", name, weights[name], parameter.detach())
            expected = reference.gradients[name]
            size = float(expected.abs().max())
            found.gradient_size[name] = max(found.gradient_size.get(name, 0.0), size)
            found.record("gradient", name, gradients[name], expected)
            for key, value in states[name].items():
                found.record("moment", name, value, reference.state(name, key))
    end = session.state_dict()
    signature = session.signature
    # Buffers that the forward pass writes are frozen only in so far as nothing trains them.
    frozen = [a.name for a in signature.with_role("frozen") if not signature.update_of(a.index)]
    found.frozen_changed = [n for n in frozen if start[n].tobytes() != end[n].tobytes()]
    return found


def load_data_module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
