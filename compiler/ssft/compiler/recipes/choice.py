"""How many units of an axis train, and which: at random, or by importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import numpy as np

from ssft.compiler.analysis.linears import INPUT
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.importance import (
    Importance,
    channel_importance,
    element_importance,
)
from ssft.compiler.recipes.parameters import Factor, Parameter
from ssft.compiler.recipes.statistics import Statistics


class Candidate(NamedTuple):
    """Dimension `dim` of a parameter, of which a part is to be chosen."""

    parameter: Parameter
    dim: int

    @property
    def size(self) -> int:
        """Number of indices."""
        return self.parameter.dimensions[self.dim].size


Coupled = Mapping[tuple[str, int], tuple[Any, tuple[int, ...]]]
"""Of a parameter and dimension: what identifies its axes, and the indices chosen for these."""


@dataclass(frozen=True)
class _Units:
    """The `number` units of a segment of a dimension, of `width` indices each.

    `order` has those that may be chosen, the best first; `scores` are by unit.
    """

    offset: int
    number: int
    width: int
    order: np.ndarray
    scores: np.ndarray | None

    def indices(self, count: int) -> list[int]:
        """The indices of the first `count` units."""
        return [
            self.offset + int(unit) * self.width + i
            for unit in self.order[:count]
            for i in range(self.width)
        ]


@dataclass(frozen=True)
class Choice:
    """The recipe's numbers, as methods use them.

    `ratio` of the units of each dimension are chosen, or what the first pattern of `ratios` that
    matches the parameter's name says. With a ``uniform`` budget each dimension gets its share; with
    a ``global`` one the units of all dimensions compete, and some may get none. Indices that
    `avoid` names are never chosen. Importance other than ``random`` needs `statistics`.

    `number` counts the choices of one training run: each draws other numbers. `block` is the size
    of blocks, rows x columns. `coupled` records what `units` chose; `stream` names draws that are
    independent of those of other streams.
    """

    ratio: float
    seed: int = 0
    importance: Importance = "random"
    order: Literal["largest", "smallest"] = "largest"
    budget: Literal["uniform", "global"] = "uniform"
    ratios: tuple[tuple[str, float], ...] = ()
    avoid: Mapping[str, Mask] = field(default_factory=dict)
    statistics: Statistics | None = None
    combine: Literal["union", "intersection"] = "union"
    block: tuple[int, int] = (256, 256)
    number: int = 0
    stream: str = ""
    coupled: dict[tuple[str, int], tuple[Any, tuple[int, ...]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def count(self, size: int, ratio: float | None = None) -> int:
        """Number of units to choose of `size`: the ratio, rounded, at least 1 unless it is 0."""
        ratio = self.ratio if ratio is None else ratio
        return 0 if ratio == 0 else min(size, max(1, round(ratio * size)))

    def ratio_of(self, name: str) -> float:
        """The ratio for a parameter."""
        return next((r for pattern, r in self.ratios if fnmatchcase(name, pattern)), self.ratio)

    def units(self, candidates: Sequence[Candidate]) -> list[tuple[int, ...]]:
        """Chooses whole units (heads of a head axis, channels of a plain one); sorted indices.

        Candidates of the same axes get the same indices. The unit of a dimension with several
        factors is its minor factor: heads x head size is chosen by head. On free axes the chosen
        are the first of a *legal* permutation, so that they can always be made contiguous by
        co-permutation; e.g. with grouped queries: whole groups first, then part of one more group
        (one order per axis, by the sum over the others).
        """
        groups: dict[object, list[Candidate]] = {}
        for candidate in candidates:
            key = candidate.parameter.dimensions[candidate.dim].key
            groups.setdefault(key, []).append(candidate)
        units = {key: self._ordered(members) for key, members in groups.items()}
        ratios = {key: self._common_ratio(members) for key, members in groups.items()}
        counts = self._counts(units, ratios)
        chosen = {
            key: tuple(sorted(i for s, n in zip(units[key], counts[key], strict=True)
                              for i in s.indices(n)))
            for key in groups
        }  # fmt: skip
        for parameter, dim in candidates:
            key = parameter.dimensions[dim].key
            self.coupled[parameter.name, dim] = ((key, self.stream), chosen[key])
        return [chosen[c.parameter.dimensions[c.dim].key] for c in candidates]

    def channels(self, candidate: Candidate) -> tuple[int, ...]:
        """Chooses single indices of one dimension of one parameter; sorted."""
        name, size = candidate.parameter.name, candidate.size
        scores = self._scores([candidate])
        order = self._generator(f"{name}:{candidate.dim}").permutation(size)
        if scores is not None:
            order = _descending(scores)
        avoided = self._avoided([candidate])
        if avoided:
            order = np.array([index for index in order if index not in avoided], dtype=np.int64)
        count = min(self.count(size, self.ratio_of(name)), len(order))
        return tuple(sorted(int(index) for index in order[:count]))

    def best(self, name: str, dim: int, scores: np.ndarray, count: int) -> tuple[int, ...]:
        """The `count` indices of a parameter's dimension with the largest `scores`; sorted."""
        mask = self.avoid.get(name, Mask((), ()))
        avoided = set((mask.rows, mask.columns)[dim] or ())
        order = [int(i) for i in _descending(scores) if int(i) not in avoided]
        return tuple(sorted(order[:count]))

    def elements(self, name: str, default: Importance) -> np.ndarray:
        """The importance of each element of a parameter; negated if the smallest is wanted.

        `default` is what ``random``, which says nothing of elements, is taken for.
        """
        importance = default if self.importance == "random" else self.importance
        found = element_importance(self._measured(importance), name, importance)
        return -found if self.order == "smallest" else found

    def _common_ratio(self, members: Sequence[Candidate]) -> float:
        ratios = {m.parameter.name: self.ratio_of(m.parameter.name) for m in members}
        low, high = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
        if ratios[low] != ratios[high]:
            raise UserError(
                f"'{low}' and '{high}' share an axis, but have ratios {ratios[low]:g} and "
                f"{ratios[high]:g}",
                notes=["give both the same ratio, or say which rows train: --mask"],
            )
        return ratios[low]

    def _counts(
        self, units: Mapping[object, list[_Units]], ratios: Mapping[object, float]
    ) -> dict[object, list[int]]:
        """How many units of each segment train."""
        if self.budget == "uniform":
            return {
                key: [min(self.count(s.number, ratios[key]), len(s.order)) for s in segments]
                for key, segments in units.items()
            }
        # Heads compete with heads and channels with channels: what looks alike forms a pool.
        pools: dict[object, list[tuple[object, int]]] = {}
        for key, segments in units.items():
            for number, segment in enumerate(segments):
                pool = (segment.number, segment.width)
                pools.setdefault(pool, []).append((key, number))
        counts = {key: [0] * len(segments) for key, segments in units.items()}
        for pool, members in pools.items():
            segments = [units[key][number] for key, number in members]
            wanted = sum(ratios[key] * units[key][number].number for key, number in members)
            shares = self._compete(segments, wanted, f"global:{pool}")
            for (key, number), share in zip(members, shares, strict=True):
                counts[key][number] = share
        return counts

    def _compete(self, segments: Sequence[_Units], wanted: float, label: str) -> list[int]:
        """How many units of each segment are among the best of all."""
        number = 0 if wanted == 0 else max(1, round(wanted))
        owner = np.repeat(np.arange(len(segments)), [len(s.order) for s in segments])
        if self.importance == "random":
            order = self._generator(label).permutation(len(owner))
        else:
            scores = [np.asarray(s.scores)[s.order] for s in segments]
            order = _descending(np.concatenate(scores))
        return np.bincount(owner[order[:number]], minlength=len(segments)).tolist()

    def _ordered(self, members: Sequence[Candidate]) -> list[_Units]:
        """The units of each segment of the members' common dimension."""
        parameter, dim = members[0]
        scores, avoided = self._scores(members), self._avoided(members)
        found, offset = [], 0
        for segment in parameter.dimensions[dim].segments:
            majors = segment[:-1] if len(segment) > 1 else segment
            width = segment[-1].size if len(segment) > 1 else 1
            number = int(np.prod([factor.size for factor in majors]))
            part = slice(offset, offset + number * width)
            of_units = None if scores is None else scores[part].reshape(number, width).sum(axis=1)
            order = self._segment_order(segment, majors, of_units)
            taken = {
                (index - offset) // width for index in avoided if part.start <= index < part.stop
            }
            order = np.array([unit for unit in order if unit not in taken], dtype=np.int64)
            found.append(_Units(offset, number, width, order, of_units))
            offset += number * width
        return found

    def _segment_order(
        self, segment: Sequence[Factor], majors: Sequence[Factor], scores: np.ndarray | None
    ) -> np.ndarray:
        """The units of a segment, the best first."""
        sizes = [factor.size for factor in majors]
        generator = self._generator("/".join(f"{factor.axis}:{factor.size}" for factor in segment))
        grid = np.arange(int(np.prod(sizes))).reshape(sizes)
        if not all(factor.free for factor in majors):
            return (
                generator.permutation(grid.size)
                if scores is None
                else np.argsort(-scores, kind="stable")
            )
        for position, size in enumerate(sizes):
            if scores is None:
                order = generator.permutation(size)
            else:
                others = tuple(d for d in range(len(sizes)) if d != position)
                order = _descending(scores.reshape(sizes).sum(axis=others))
            grid = np.take(grid, order, axis=position)
        return grid.reshape(-1)

    def _scores(self, members: Sequence[Candidate]) -> np.ndarray | None:
        """Squared importance of each index, over all members; negated for the smallest."""
        if self.importance == "random":
            return None
        statistics = self._measured(self.importance)
        total = np.zeros(members[0].size)
        for parameter, dim in members:
            uses = parameter.dimensions[dim].uses
            total += channel_importance(
                statistics, parameter.name, dim, INPUT in uses, self.importance
            )
        return -total if self.order == "smallest" else total

    def _measured(self, importance: Importance) -> Statistics:
        if self.statistics is None:
            raise UserError(
                f"importance '{importance}' needs statistics of the model",
                notes=["measure it: --calibrate STEPS, or name a file: --statistics FILE"],
            )
        return self.statistics

    def _avoided(self, members: Sequence[Candidate]) -> set[int]:
        found: set[int] = set()
        for parameter, dim in members:
            mask = self.avoid.get(parameter.name)
            if mask is not None:
                found.update((mask.rows if dim == 0 else mask.columns) or ())
        return found

    def _generator(self, label: str) -> np.random.Generator:
        # A stream per axis: adding a parameter to the model does not change the others' choice.
        later = [self.number] if self.number else []
        return np.random.default_rng([self.seed, *(label + self.stream).encode(), *later])


def _descending(scores: np.ndarray) -> np.ndarray:
    """Positions by descending score; of equal ones the first comes first."""
    return np.argsort(-scores, kind="stable")
