"""Loop nests over tensors: what every structured operation is compiled to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ssft.compiler.backends.interpreter.body import Body
from ssft.compiler.backends.interpreter.formats import numpy_type
from ssft.compiler.backends.interpreter.views import Target, View
from ssft.dialects._mlir import ir

CHUNK = 1 << 16
"""Elements that a body is run on at a time, where loops allow it: temporaries stay in the cache."""


class Kernel(NamedTuple):
    """An operation as a function from its operands, and values `captured`, to its results."""

    function: Callable[..., Sequence[Any]]
    captured: Sequence[ir.Value] = ()


@dataclass(frozen=True)
class Nest:
    """A perfect loop nest.

    `views` say how operands are read, the last `len(targets)` of which are outputs; `targets` how
    results are written; `elements` are the results' element types.
    """

    sizes: tuple[int, ...]
    views: tuple[View, ...]
    targets: tuple[Target, ...]
    elements: tuple[str, ...]
    body: Body

    @property
    def reduced(self) -> tuple[int, ...]:
        """Loops that results do not run over."""
        return tuple(d for d in range(len(self.sizes)) if d not in self.targets[0].loops)

    @property
    def kept(self) -> tuple[int, ...]:
        """Loops that results run over."""
        return tuple(d for d in range(len(self.sizes)) if d in self.targets[0].loops)

    @property
    def first_output(self) -> int:
        """Number of the first operand that is an output."""
        return len(self.views) - len(self.targets)

    def inputs(self, values: Sequence[Any]) -> list[Any]:
        """What the body's registers start with, over all loops; `values` as a kernel gets them."""
        operands, captured = values[: len(self.views)], values[len(self.views) :]
        views = [view.of(value) for view, value in zip(self.views, operands, strict=True)]
        return [*views[: self.body.arguments], *captured, *self._positions()]

    def _positions(self) -> Iterator[np.ndarray]:
        for loop in self.body.indexed:
            shape = [1] * len(self.sizes)
            shape[loop] = self.sizes[loop]
            yield np.arange(self.sizes[loop]).reshape(shape)

    def per_loop(self, register: int) -> bool:
        """Whether an input has a dimension for each loop; values from outside have not."""
        body = self.body
        return not body.arguments <= register < body.arguments + body.captured


def elementwise(nest: Nest) -> Callable[..., list[np.ndarray]]:
    """The function of a nest all of whose loops are parallel."""
    kept = nest.kept

    def function(*values: Any) -> list[np.ndarray]:
        results = _evaluate(nest, nest.inputs(values))
        return [
            target.arrange(result, kept)
            for target, result in zip(nest.targets, results, strict=True)
        ]

    return function


def _evaluate(nest: Nest, inputs: list[Any]) -> list[np.ndarray]:
    """The yielded values over all loops, computed piece by piece where there is much to compute."""
    loop = next((d for d, size in enumerate(nest.sizes) if size > 1), None)
    elements = math.prod(nest.sizes)
    if loop is None or elements <= CHUNK or len(nest.body.steps) < 2:
        return [np.broadcast_to(result, nest.sizes) for result in nest.body.run(inputs)]
    results = [np.empty(nest.sizes, numpy_type(element)) for element in nest.elements]
    extent = nest.sizes[loop]
    step = max(1, extent * CHUNK // elements)
    before = (slice(None),) * loop
    for start in range(0, extent, step):
        piece = (*before, slice(start, start + step))
        part = [
            value[piece] if nest.per_loop(number) and value.shape[loop] > 1 else value
            for number, value in enumerate(inputs)
        ]
        for result, computed in zip(results, nest.body.run(part), strict=True):
            result[piece] = computed
    return results
