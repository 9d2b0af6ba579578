"""Loop nests that accumulate: sums, maxima, and anything else one iteration after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ssft.compiler.backends.interpreter.body import Step
from ssft.compiler.backends.interpreter.formats import Unsupported, numpy_type, rounded
from ssft.compiler.backends.interpreter.loops import Nest
from ssft.compiler.backends.interpreter.sums import ordered_sum, plain_sum

_FOLDS: dict[str, np.ufunc] = {
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
    "arith.addi": np.add,
    "arith.muli": np.multiply,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
}
"""Operations that give the same in any order, but for the signs of zeros."""

_BITWISE = frozenset({"arith.andi", "arith.ori", "arith.xori"})


class Reduction:
    """The function of a nest with loops that its results do not run over.

    An output whose new value is ``addf(x, out)`` is a *sum* of terms x; one that is another
    operation of `_FOLDS` a *fold*. Terms are computed all at once. Outputs that are neither, and
    all that they look at, are computed *in turn*: one iteration after the other.
    """

    def __init__(self, nest: Nest, *, exact: bool) -> None:
        self.nest, self.exact = nest, exact
        outputs = range(len(nest.targets))
        self._registers = [nest.first_output + number for number in outputs]
        found = [self._combination(number) for number in outputs]
        in_turn = self._closure({n for n, step in enumerate(found) if step is None})
        if exact and any(s and s.name == "arith.addf" for n, s in enumerate(found) if n in in_turn):
            raise Unsupported("a reduction that looks at another one's running sum")
        self._in_turn = sorted(in_turn)
        self._combined = {n: s for n, s in enumerate(found) if s and n not in in_turn}
        self._terms = nest.body.only([self._term(n, s) for n, s in self._combined.items()])
        self._iteration = nest.body.only([nest.body.yields[n] for n in self._in_turn])

    def __call__(self, *values: Any) -> list[np.ndarray]:
        """Computes the results from the operands, as a kernel's function."""
        nest = self.nest
        inputs = nest.inputs(values)
        initial = [self._initial(values, number) for number in range(len(nest.targets))]
        results = self._reduce_terms(inputs, initial) | self._run_in_turn(inputs, initial)
        return [
            target.arrange(np.broadcast_to(results[number], initial[number].shape), nest.kept)
            for number, target in enumerate(nest.targets)
        ]

    def _combination(self, output: int) -> Step | None:
        """The last operation on an output, if the output is a sum or a fold."""
        body = self.nest.body
        step = body.step_of(body.yields[output])
        out = self._registers[output]
        if step is None or list(step.operands).count(out) != 1:
            return None
        boolean = self.nest.elements[output] == "i1" and step.name not in _BITWISE
        if step.name != "arith.addf" and (step.name not in _FOLDS or boolean):
            return None
        independent = not body.sources(self._term(output, step)) & set(self._registers)
        return step if independent else None

    def _term(self, output: int, step: Step) -> int:
        return next(r for r in step.operands if r != self._registers[output])

    def _closure(self, outputs: set[int]) -> set[int]:
        """`outputs` and those that their values depend on."""
        body = self.nest.body
        while True:
            read = set().union(*(body.sources(body.yields[n]) for n in outputs))
            wider = outputs | {n for n, r in enumerate(self._registers) if r in read}
            if wider == outputs:
                return outputs
            outputs = wider

    def _initial(self, values: Sequence[Any], output: int) -> np.ndarray:
        nest = self.nest
        position = nest.first_output + output
        view = nest.views[position].of(values[position])
        kept = [nest.sizes[loop] for loop in nest.kept]
        return np.transpose(view, [*nest.kept, *nest.reduced]).reshape(kept)

    def _reduce_terms(
        self, inputs: list[Any], initial: Sequence[np.ndarray]
    ) -> dict[int, np.ndarray]:
        nest = self.nest
        results = {}
        for (output, step), term in zip(
            self._combined.items(), self._terms.run(inputs), strict=True
        ):
            full = np.broadcast_to(term, nest.sizes)
            terms = np.transpose(full, [*nest.reduced, *nest.kept])
            terms = terms.reshape(-1, *initial[output].shape)
            results[output] = self._combine(step, terms, initial[output], nest.elements[output])
        return results

    def _combine(self, step: Step, terms: np.ndarray, initial: np.ndarray, element: str) -> Any:
        if step.name == "arith.addf":
            if self.exact:
                return ordered_sum(terms, initial, element)
            return rounded(plain_sum(terms, initial, element), element)
        if not len(terms):
            return initial
        found = _FOLDS[step.name].reduce(terms, axis=0, dtype=terms.dtype)
        if self.exact and found.dtype.kind == "f" and not np.all(found):
            found = functools.reduce(step.function, terms)
        return step.function(found, initial)

    def _run_in_turn(
        self, inputs: list[Any], initial: Sequence[np.ndarray]
    ) -> dict[int, np.ndarray]:
        nest = self.nest
        state = {number: initial[number] for number in self._in_turn}
        if not state:
            return {}
        extents = [nest.sizes[loop] for loop in nest.reduced]
        order = [*nest.reduced, *nest.kept]
        values = [
            np.ascontiguousarray(np.transpose(value, order)) if nest.per_loop(number) else value
            for number, value in enumerate(inputs)
        ]
        for position in np.ndindex(*extents):
            now = [
                _at(value, position) if nest.per_loop(number) else value
                for number, value in enumerate(values)
            ]
            for number, value in state.items():
                now[self._registers[number]] = value
            state = dict(zip(self._in_turn, self._iteration.run(now), strict=True))
        return {n: np.asarray(v, numpy_type(nest.elements[n])) for n, v in state.items()}


def _at(value: np.ndarray, position: tuple[int, ...]) -> np.ndarray:
    """The part of an array at a position of its first dimensions; extent 1 is broadcast."""
    return value[tuple(p if e > 1 else 0 for p, e in zip(position, value.shape, strict=False))]


def reduction(nest: Nest, *, exact: bool) -> Callable[..., list[np.ndarray]]:
    """The function of a nest with loops that its results do not run over."""
    return Reduction(nest, exact=exact)
