"""Runs masked dense PyTorch beside a session and records how far they are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssft.runtime.session import Session

ZERO_GRADIENT = 1e-6
"""Share of the largest gradient below which a whole gradient counts as zero: it is rounding only.

Adam divides a gradient by its own size, so rounding noise in a gradient that is mathematically
zero (the bias of keys under softmax, for example) becomes a step of full size in a random
direction. Such a parameter's moments and weights say nothing about equality.
"""


@dataclass(frozen=True)
class Difference:
    """The largest difference seen in one tensor, divided by the largest magnitude in it."""

    tensor: str
    what: str
    relative: float
    excluded: bool = False


class Comparison:
    """Compares loss, weights and optimizer states with masked dense PyTorch after every step.

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
        self._worst: dict[tuple[str, str], float] = {}
        self._largest_gradient: dict[str, float] = {}

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
                self._record(name, key, value, _array(self.reference.state(name, key)))
            gradient = self.reference.gradients.get(name)
            if gradient is not None:
                size = float(gradient.abs().max())
                self._largest_gradient[name] = max(self._largest_gradient.get(name, 0.0), size)

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
        value, expected = _wide(value), _wide(expected)
        scale = float(np.abs(expected).max(initial=0.0))
        error = float(np.abs(value - expected).max(initial=0.0))
        relative = error / scale if scale else error
        key = (name, what)
        self._worst[key] = max(self._worst.get(key, 0.0), relative)


def _array(tensor: Any) -> np.ndarray:
    from ssft.compiler.frontend.arrays import to_array

    return to_array(tensor).data


def _wide(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(array, np.float64)
