"""Runs masked dense PyTorch beside a session and records how far they are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssft.runtime.executor import exact_device
from ssft.runtime.session import Session

ZERO_GRADIENT = 1e-6
"""Share of the largest gradient below which a whole gradient counts as zero: it is rounding only.

Adam divides a gradient by its own size, so rounding noise in a gradient that is mathematically
zero (the bias of keys under softmax, for example) becomes a step of full size in a random
direction. Such a parameter's moments and weights say nothing about equality.
"""

TOLERANCE = 1e-3
"""Largest relative difference of loss and states that counts as equal."""

HALF_TOLERANCE = 2.0**-4
"""The same for one step of half-precision weights: eight times the distance of bfloat16 numbers.

PyTorch rounds every operation of such a model, and the optimizer's, to them; plans round less.
"""

_HALF = frozenset({"bf16", "f16"})
_MASTERS = "master_remainder"


@dataclass(frozen=True)
class Difference:
    """The largest difference seen in one tensor, divided by the largest magnitude in it."""

    tensor: str
    what: str
    relative: float
    excluded: bool = False


class Comparison:
    """Compares loss, weights and optimizer states with masked dense PyTorch after every step.

    Random draws, as of dropout, are the plan's own in both. Of half-precision weights each step is
    compared by itself, from the session's weights and states: rounding drives whole runs apart.

    Args:
        session: the session, before its first step.
        source: the model file; default: the one that the plan came from.
    """

    def __init__(self, session: Session, source: str | None = None) -> None:
        from ssft.runtime.torch_bridge import masked_training

        self.session = session
        self.reference = masked_training(
            session.signature, session.state_dict(), source or session.model_file()
        )
        self.reference.seed = session.seed or 0
        self.reference.steps = session.step_count
        self._start = session.state_dict()
        self.half = sorted({a.dtype for a in session.signature.parameters} & _HALF)
        """Types of half precision among the parameters."""
        self._worst: dict[tuple[str, str], float] = {}
        self._largest_gradient: dict[str, float] = {}

    @property
    def tolerance(self) -> float:
        """The largest difference that counts as equal, unless the user says otherwise."""
        return HALF_TOLERANCE if self.half else TOLERANCE

    def hints(self, equal: bool) -> list[str]:
        """What the user should know about the figures: how they come about, and how to see more."""
        if self.half:
            more = "" if equal else "rounding is more of a gradient that nearly cancels; "
            return [
                f"of {' and '.join(self.half)} weights each step is compared by itself, because "
                f"rounding drives whole runs apart; {more}compile the model in float32 to compare "
                "closely"
            ]
        exact = exact_device(self.session.device)
        if equal or exact is None:
            return []
        return [
            f"device {self.session.device} rounds the operands of products, and PyTorch does not: "
            f"compare with --device {exact}"
        ]

    def set_learning_rate(self, value: float) -> None:
        """Sets the reference's learning rate, as the session's was."""
        for group in self.reference.optimizer.param_groups:
            group["lr"] *= value / self.session.signature.optimizer["lr"]

    def follow(self) -> None:
        """Makes the reference train what the session does now, after a choice."""
        from ssft.runtime.torch_bridge import plan_masks

        self.reference.set_masks(plan_masks(self.session.current_signature))

    def step(self, batch: Mapping[str, Any], loss: float) -> None:
        """Trains the reference on `batch` and compares; `loss` is the session's."""
        expected = self.reference.step(batch)
        self._record("", "loss", np.array(loss), np.array(expected))
        weights = self.session.state_dict()
        states = self.session.optimizer_state()
        for name, parameter in self.reference.trained.items():
            self._record(name, "weight", weights[name], _array(parameter))
            for key, value in states.get(name, {}).items():
                if key != _MASTERS:  # PyTorch keeps no masters
                    self._record(name, key, value, _array(self.reference.state(name, key)))
            gradient = self.reference.gradients.get(name)
            if gradient is not None:
                size = float(gradient.abs().max())
                self._largest_gradient[name] = max(self._largest_gradient.get(name, 0.0), size)
        if self.half:
            self.reference.set_state(weights, states)

    def differences(self) -> list[Difference]:
        """Returns the worst difference of every tensor, largest first; excluded ones last."""
        largest = max(self._largest_gradient.values(), default=0.0)
        found = [
            Difference(
                name,
                what,
                relative,
                bool(name) and self._largest_gradient.get(name, 0.0) < ZERO_GRADIENT * largest,
            )
            for (name, what), relative in self._worst.items()
        ]
        return sorted(found, key=lambda difference: (difference.excluded, -difference.relative))

    def largest(self) -> Difference | None:
        """Returns the worst difference of the loss and the optimizer states.

        Weights are left out: Adam's first steps divide a gradient by its own size.
        """
        compared = [d for d in self.differences() if not d.excluded and d.what != "weight"]
        return compared[0] if compared else None

    def frozen_unchanged(self) -> list[str]:
        """Returns the names of frozen tensors whose bytes changed: must be empty.

        Buffers that the forward pass writes are no part of it.
        """
        now = self.session.state_dict()
        signature = self.session.signature
        frozen = [a.name for a in signature.with_role("frozen") if not signature.update_of(a.index)]
        return [name for name in frozen if now[name].tobytes() != self._start[name].tobytes()]

    def _record(self, name: str, what: str, value: np.ndarray, expected: np.ndarray) -> None:
        relative = relative_difference(_wide(value), _wide(expected))
        key = (name, what)
        self._worst[key] = max(self._worst.get(key, 0.0), relative)


def relative_difference(value: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest magnitude that is expected.

    Infinite if one is not a number where the other one is, or where they are infinite and differ.
    """
    same = (value == expected) | (np.isnan(value) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0.0, np.abs(value - expected))
    error = float(off.max(initial=0.0))
    scale = float(np.abs(expected).max(initial=0.0, where=np.isfinite(expected)))
    relative = error / scale if scale else error
    return relative if math.isfinite(relative) else math.inf


def _array(tensor: Any) -> np.ndarray:
    from ssft.compiler.frontend.arrays import to_array

    return to_array(tensor).data


def _wide(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(array, np.float64)
