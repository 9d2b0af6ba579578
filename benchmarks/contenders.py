"""What trains a model in a benchmark: PyTorch eager and compiled, and our plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch
from models import DTYPES, NORM, Size, hand_written_s2ft, lora, make_batch, make_model
from torch import nn

RATIO = 0.05
PHASES = ("forward", "backward", "update")


class Step(Protocol):
    """A training step on the benchmark's batch."""

    def run(self) -> float:
        """Trains once; the loss before the update."""
        ...

    def phases(self) -> dict[str, float]:
        """Seconds of each of `PHASES` in one step."""
        ...


class TorchStep:
    """A step in PyTorch: SDPA, fused AdamW, gradients freed, and clipped over all parameters."""

    def __init__(self, model: nn.Module, size: Size, compiled: bool):
        self.batch = make_batch(size)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0.0, fused=True)
        self.model: Callable[..., object] = torch.compile(model) if compiled else model

    def run(self) -> float:
        return self._run(lambda phase: None)

    def phases(self) -> dict[str, float]:
        times = {}
        started = perf_counter()

        def done(phase: str) -> None:
            nonlocal started
            now = perf_counter()
            times[phase], started = now - started, now

        self._run(done)
        return times

    def _run(self, done: Callable[[str], None]) -> float:
        loss = self.model(**self.batch).loss
        done("forward")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        done("backward")
        nn.utils.clip_grad_norm_(self.parameters, NORM)
        self.optimizer.step()
        done("update")
        return float(loss.detach())


class PlanStep:
    """A compiled plan, whose step runs in three parts to time its phases."""

    def __init__(self, path: Path, size: Size, device: str):
        from ssft.runtime import Session

        self.batch = {name: tensor.numpy() for name, tensor in make_batch(size).items()}
        self.session = Session(path, device)

    def run(self) -> float:
        return self.session.step(self.batch)

    def phases(self) -> dict[str, float]:
        session: Any = self.session
        return session._executor.time_phases(session._pointers(self.batch, session._outputs))


TORCH: dict[str, tuple[Callable[[Size], nn.Module], bool]] = {
    "eager, dense": (make_model, False),
    "torch.compile, dense": (make_model, True),
    "eager, LoRA r16": (lora, False),
    "torch.compile, LoRA r16": (lora, True),
    "eager, S2FT by hand": (lambda size: hand_written_s2ft(size, RATIO), False),
    "torch.compile, S2FT by hand": (lambda size: hand_written_s2ft(size, RATIO), True),
}
PLANS = {"plan, dense": "full", "plan, LoRA r16": "lora", "plan, S2FT": "s2ft"}
SINGLE = ", f32 weights"
"""Behind the name of a plan: the same with weights in f32, where others are in bf16."""
WIDE = ", f32 masters"
"""Behind the name of a plan: weights in bf16, moments and master weights in f32."""


def names(dtype: str) -> tuple[str, ...]:
    """The contenders whose weights are of a type in `DTYPES`, and f32 plans to compare with."""
    if dtype == "f32":
        return (*TORCH, *PLANS)
    more = [name + suffix for suffix in (WIDE, SINGLE) for name in PLANS if "LoRA" not in name]
    return (*TORCH, *PLANS, *more)


def plan_kind(name: str) -> str | None:
    """What a contender that is a plan trains, as in `PLANS`; None if it is none."""
    return PLANS.get(name.removesuffix(WIDE).removesuffix(SINGLE))


def write_plan(name: str, size: Size, path: Path) -> dict[str, float]:
    """Compiles the plan of a contender to `path`; seconds of capture and of all of it."""
    from ssft.compiler import Recipe, compile

    kind = plan_kind(name)
    if name.endswith(SINGLE):
        size = replace(size, dtype=DTYPES["f32"])
    model = lora(size) if kind == "lora" else make_model(size)
    recipe = Recipe("s2ft", ratio=RATIO) if kind == "s2ft" else Recipe("full")
    start = perf_counter()
    plan = compile(
        model,
        make_batch(size),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0),
        recipe=recipe,
        max_grad_norm=NORM,
        moments="f32" if name.endswith(WIDE) else "",
        master_weights=name.endswith(WIDE),
    )
    seconds = perf_counter() - start
    plan.save(path)
    return {"compile": seconds}


def make_step(name: str, size: Size, directory: Path, device: str = "cpu") -> Step:
    """The step of a contender; plans are read from `directory` and run on `device`."""
    if name in TORCH:
        make, compiled = TORCH[name]
        return TorchStep(make(size), size, compiled)
    return PlanStep(plan_path(name, directory), size, device)


def plan_path(name: str, directory: Path) -> Path:
    """Where a contender's plan is."""
    return directory / (name.replace(" ", "-").replace(",", "") + ".mlir")
