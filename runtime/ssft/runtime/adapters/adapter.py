"""What an adapter holds: rectangles of parameters, before and after training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ssft.compiler.backends.interpreter.formats import load
from ssft.compiler.weights import Array


@dataclass(frozen=True, eq=False)
class Part:
    """The rows x columns of a parameter that trained, in the model's own order.

    `shape` is the parameter's; `rows` and `columns` are indices over its dimensions 0 and 1, None
    for all. `values` and `base` are what training left there and what it began with, both of shape
    [rows, columns, ...] in the parameter's element type `dtype` (``bf16`` as bits in ``uint16``):
    with both, putting on and taking off are exact.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    rows: np.ndarray | None
    columns: np.ndarray | None
    values: np.ndarray
    base: np.ndarray

    @property
    def index(self) -> tuple[np.ndarray, ...]:
        """What selects the part from an array of `shape`."""
        if not self.shape:
            return ()
        sides = (self.rows, self.columns)
        lists = [
            np.arange(size) if chosen is None else chosen
            for size, chosen in zip(self.shape[:2], sides, strict=False)
        ]
        return np.ix_(*lists)

    @property
    def change(self) -> np.ndarray:
        """What training added to the base, in float64."""
        values, base = (load(array, self.dtype) for array in (self.values, self.base))
        return np.subtract(values, base, dtype=np.float64)

    @property
    def elements(self) -> int:
        """Number of elements that it holds."""
        return prod(self.values.shape)


@dataclass(frozen=True)
class Adapter:
    """What training changed of a base model.

    `hashes` are those of all parameters of the base, by name; `aliases` are other names under which
    ``state_dict()`` lists some of them. `about` says where the adapter comes from.
    """

    parts: tuple[Part, ...]
    hashes: Mapping[str, str]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it changes, each once."""
        return tuple(dict.fromkeys(part.name for part in self.parts))

    @property
    def elements(self) -> int:
        """Number of elements that it changes."""
        return sum(part.elements for part in self.parts)

    @property
    def base_hash(self) -> str:
        """One hash for all of the base."""
        text = "".join(f"{name} {value}\n" for name, value in sorted(self.hashes.items()))
        return hashlib.sha256(text.encode()).hexdigest()


def tensor_hash(array: Array) -> str:
    """The SHA-256 of a tensor's element type, shape and bytes, in hex."""
    digest = hashlib.sha256(f"{array.dtype} {list(array.data.shape)}\n".encode())
    digest.update(np.asarray(array.data, order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
