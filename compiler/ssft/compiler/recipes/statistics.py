"""What a calibration run measured of a model: weights, gradients and activations of parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import atomic_output
from ssft.compiler.weights import Array, serialize

Quantity = Literal["weight", "gradient", "fisher", "input", "output", "sensitivity", "uncertainty"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

FORMAT = "ssft.statistics"


@dataclass(frozen=True)
class Statistics:
    """Measurements by quantity and parameter, all float32.

    * ``weight``: the parameter's values when it was measured, in its shape.
    * ``gradient``: the sum of its gradients over `steps` batches, in its shape.
    * ``fisher``: the sum of their squares, in its shape (the diagonal of the empirical Fisher
      information, but for the factor 1 / `steps`).
    * ``input``: sum over all batches and tokens of the squares of what the matrix is multiplied
      with, one per input channel.
    * ``output``: the same of what it yields, before any bias, one per output channel.
    * ``sensitivity``: the moving average over batches of |w g - (w g)^2 / 2|, in its shape, where
      ``w`` is the weight and ``g`` a batch's gradient; ``uncertainty``: that of how far a batch is
      from the average. Measured only for importance ``sensitivity``.
    """

    steps: int
    values: Mapping[tuple[Quantity, str], np.ndarray] = field(default_factory=dict)

    def get(self, quantity: Quantity, name: str) -> np.ndarray:
        """A measurement; a `UserError` says that it was not made."""
        found = self.values.get((quantity, name))
        if found is None:
            raise UserError(
                f"the statistics have no {quantity} of '{name}'",
                notes=["measure this model: ssftc MODEL.py --calibrate STEPS"],
            )
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a safetensors file, whole or not at all."""
        arrays = {
            f"{quantity}/{name}": Array("f32", array.astype(np.float32, copy=False))
            for (quantity, name), array in self.values.items()
        }
        with atomic_output(path) as temporary:
            serialize(temporary, arrays, {"format": FORMAT, "steps": str(self.steps)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """Reads what `save` wrote; raises `UserError` for anything else."""
        from safetensors import safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
            arrays = load_file(path) if metadata.get("format") == FORMAT else {}
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot read statistics '{path}': {error}") from None
        if metadata.get("format") != FORMAT:
            raise UserError(
                f"'{path}' holds no statistics",
                notes=["write some: ssftc MODEL.py --calibrate STEPS --save-statistics FILE"],
            )
        values = {}
        for key, array in arrays.items():
            quantity, _, name = key.partition("/")
            if quantity in QUANTITIES:
                values[quantity, name] = array
        return cls(int(metadata.get("steps", 1)), values)
