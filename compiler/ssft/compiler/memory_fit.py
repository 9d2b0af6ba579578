"""Activation checkpointing of a plan: by mode, or the cheapest that fits a budget of memory.

The choice is made on a model of the step in which operations run one by one, for which dozens of
choices take a second. What a device needs is then asked of its backend, which fuses operations and
plans an arena, and the choice is corrected until that fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ssft.compiler.analysis import cost
from ssft.compiler.analysis.flow import Flow
from ssft.compiler.analysis.step import find_step
from ssft.compiler.checkpointing import MODES, Choice, Chooser
from ssft.compiler.diagnostics import UserError
from ssft.compiler.memory_refusal import refusal
from ssft.compiler.passes.ssft_checkpoint import CheckpointPass
from ssft.compiler.passes.ssft_verify import VerifyPass
from ssft.compiler.pipelines.named import CLEAN, Pipeline
from ssft.dialects._mlir import ir

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import MemoryUse

ATTEMPTS = 3
"""How often the model's idea of the budget is corrected by what the device needs."""

MARGIN = 1.01
"""How much more than in proportion the target is lowered when a choice turned out not to fit."""

Run = Callable[[ir.Module | ir.Operation, Pipeline], object]


@dataclass(frozen=True)
class MemoryRequest:
    """What a compilation was told about memory: a mode of checkpointing, and bytes for a step."""

    mode: str
    budget: int | None = None

    @classmethod
    def of(cls, mode: str | None, budget: int | None) -> MemoryRequest | None:
        """Reads options, None for those not given; returns None if they ask for nothing.

        Raises:
            UserError: there is no such mode, or ``auto`` has no budget to go by.
        """
        if mode is not None and mode not in MODES:
            raise UserError(
                f"'{mode}' is no mode of checkpointing", notes=[f"modes are {', '.join(MODES)}"]
            )
        if mode == "auto" and budget is None:
            raise UserError(
                "checkpointing 'auto' needs to know how much memory there is",
                notes=["add --memory-budget SIZE"],
                exit_code=2,
            )
        if budget is None and mode in (None, "none"):
            return None
        return cls(mode or "auto", budget)


def checkpoint(module: ir.Module, request: MemoryRequest, run: Run) -> dict[str, Any]:
    """Rewrites the plan `module` as `request` says; returns what to report about it.

    `run` runs a pipeline. Keys: ``mode``, ``memory_budget``, ``recomputed_flops``;
    ``saved_activations`` and ``peak``, each ``before`` and ``after`` in bytes, operation by
    operation; and ``cpu``, what a step takes on that device, by purpose and in ``total``.

    Raises:
        UserError: nothing fits the budget.
    """
    before = cost.memory_bytes(find_step(module.operation))
    if request.budget is None:
        pass_ = CheckpointPass(request.mode)
    else:
        pass_ = _Fitting(module, request.mode, request.budget, run).find()
    if pass_.mode != "none":
        run(module, (pass_, CLEAN, VerifyPass()))
    step = find_step(module.operation)
    after, use = cost.memory_bytes(step), _account_for(module)
    parts = ("arguments", "outputs", "constants", "arena", "total")
    return {
        "mode": pass_.mode,
        "memory_budget": request.budget,
        "recomputed_flops": cost.flops(step)["recomputation"],
        "saved_activations": _pair(before, after, "saved_activations"),
        "peak": _pair(before, after, "peak"),
        "cpu": {part: getattr(use, part) for part in parts},
    }


def _pair(before: dict[str, int], after: dict[str, int], key: str) -> dict[str, int]:
    return {"before": before[key], "after": after[key]}


@dataclass(frozen=True)
class _Fitted:
    """A pass, and what a step takes on the CPU after it."""

    pass_: CheckpointPass
    use: MemoryUse


@dataclass
class _Fitting:
    """Finds the pass that does what was asked for."""

    module: ir.Module
    mode: str
    budget: int
    run: Run

    @cached_property
    def chooser(self) -> Chooser:
        """The model of the step."""
        return Chooser(Flow.of(find_step(self.module.operation)))

    def find(self) -> CheckpointPass:
        """The pass that makes the step fit; raises UserError if none does."""
        if self.mode == "layer":
            found = self._tried(CheckpointPass("layer"))
        else:
            found = self._tried(CheckpointPass("none"))
            if self.mode != "none" and found.use.total > self.budget:
                found = self._search(found)
        if found.use.total > self.budget:
            raise refusal(self.module, found.pass_.mode, found.use, self.budget)
        return found.pass_

    def _search(self, none: _Fitted) -> _Fitted:
        """The cheapest that fits, or else what takes the least."""
        room = self.budget - (none.use.total - none.use.arena)
        ratio = none.use.arena / max(1, self.chooser.none().peak)
        for _ in range(ATTEMPTS):
            target = int(room / ratio)
            choice = self._choose(target) if target > 0 else None
            if choice is None:
                break
            found = self._tried(CheckpointPass(choice.mode, peak=target))
            if found.use.total <= self.budget:
                return found
            ratio = MARGIN * found.use.arena / choice.peak
        least = self._tried(CheckpointPass("layer"))
        return min(none, least, key=lambda fitted: fitted.use.total)

    def _choose(self, target: int) -> Choice | None:
        """What has a peak of at most `target` bytes of temporaries in the model."""
        if self.mode == "selective":
            return self.chooser.until(lambda found: found.peak() <= target)
        return self.chooser.cheapest(target)

    def _tried(self, pass_: CheckpointPass) -> _Fitted:
        if pass_.mode == "none":
            return _Fitted(pass_, _account_for(self.module))
        with self.module.context:
            copy = self.module.operation.clone()
            self.run(copy, (pass_, CLEAN))
            return _Fitted(pass_, _account_for(copy))


def _account_for(module: ir.Module | ir.Operation) -> MemoryUse:
    """What a step takes on the CPU, by the account that its backend will keep."""
    from ssft.compiler.backends.cpu import account_for

    return account_for(str(module))
