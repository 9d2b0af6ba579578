"""Where to cut the forward pass: between the repetitions of what repeats in it.

Nothing is asked of modules or names. What repeats is found in the operations that the loss depends
on, and of all places in a repetition the cut goes where the fewest bytes cross it: in a
transformer, where only the residual stream is alive.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ssft.compiler.analysis.flow import Flow
from ssft.compiler.repeats import Run, Sequence, SequenceBuilder, candidate_periods, find_runs

PERIODS = 16
"""How many distances at which operations recur are tried, the most frequent first."""


@dataclass(frozen=True)
class Layers:
    """Segments of the forward pass, as ranges of operations; disjoint and in order.

    `crossing` are the storages that leave the segment, or the code outside of segments, in which
    they are made: what must be kept if each segment is to be computed again by itself.
    """

    segments: tuple[range, ...]
    crossing: frozenset[int]

    def segment_of(self, number: int) -> int | None:
        """The segment that holds an operation, or None."""
        index = bisect_right([segment.start for segment in self.segments], number) - 1
        return index if index >= 0 and number in self.segments[index] else None


def possible_layers(flow: Flow) -> list[Layers]:
    """Cuts the forward pass of `flow` between repetitions; no segments if nothing repeats.

    Often the fewest bytes cross at several places of a repetition: behind its attention, and behind
    its feed-forward part. There is one result for each of them.
    """
    code = _Forward.of(flow)
    runs = sorted(code.runs(), key=lambda run: -run.period * run.count)
    offsets = code.offsets(runs[0]) if runs else [0]
    return [code.layers(runs, offset) for offset in offsets]


def _crossing(flow: Flow, layers: Layers) -> frozenset[int]:
    places = [layers.segment_of(number) for number in range(flow.forward)]
    return frozenset(
        storage
        for number, op in enumerate(flow.ops[: flow.forward])
        if not op.is_view
        for storage in op.reads
        if flow.is_activation(storage) and places[number] != places[flow.producers[storage]]
    )


@dataclass(frozen=True)
class _Forward:
    """What the loss depends on and that depends on a product: `items`, numbers of operations.

    What else there is (masks, rotary tables) is computed once for all layers. `alive[n]` are the
    bytes that are read at or after operation n and made before it; `carried[n]` the sizes of those
    of them that items make.
    """

    flow: Flow
    items: list[int]
    sequence: Sequence
    alive: list[int]
    carried: list[tuple[int, ...]]

    @classmethod
    def of(cls, flow: Flow) -> _Forward:
        builder = SequenceBuilder()
        # All that is no item stands in the first place: the first layer may read an argument where
        # the others read what the layer before them made.
        outside = builder.append("outside")
        items = [0]
        position: dict[int, int] = {}
        for number, op in enumerate(flow.ops[: flow.forward]):
            if op.is_view or op.is_free or number not in flow.needed:
                continue
            inputs = [position.get(storage, outside) for storage in op.reads]
            if op.products or any(place != outside for place in inputs):
                position |= dict.fromkeys(op.makes, builder.append((op.key, len(inputs)), inputs))
                items.append(number)
        alive, carried = _alive(flow, position)
        return cls(flow, items, builder.finish(), alive, carried)

    def runs(self) -> list[Run]:
        """Stretches of repetitions that hold products."""
        periods = candidate_periods(self.sequence, 2)[:PERIODS]
        found = find_runs(self.sequence, periods, range(2, sys.maxsize))
        return [run for run in found if self._holds_product(run)]

    def _holds_product(self, run: Run) -> bool:
        repetition = self.items[run.start : run.start + run.period]
        return any(self.flow.ops[number].products for number in repetition)

    def offsets(self, run: Run) -> list[int]:
        """The places of a repetition where the fewest bytes are alive, first ones of stretches."""
        second = run.start + run.period
        alive = [self.alive[self.items[second + offset]] for offset in range(run.period)]
        return [o for o in range(run.period) if alive[o] == min(alive) != alive[o - 1]] or [0]

    def layers(self, runs: list[Run], offset: int) -> Layers:
        """Segments between repetitions: those of the largest run, cut at `offset`, and others."""
        segments: list[range] = []
        for run in runs:
            start = offset if run is runs[0] else self.offsets(run)[0]
            found = [range(a, b) for a, b in pairwise(self._cuts(run, start)) if a < b]
            whole = range(found[0].start, found[-1].stop)
            # What repeats within a layer (projections of one input) is no layer.
            if all(whole.stop <= other.start or other.stop <= whole.start for other in segments):
                segments += found
        layers = Layers(tuple(sorted(segments, key=lambda segment: segment.start)), frozenset())
        return Layers(layers.segments, _crossing(self.flow, layers))

    def _cuts(self, run: Run, offset: int) -> list[int]:
        """Operations before which to cut: one in each repetition, and one around them all."""
        starts = range(run.start + offset, run.stop, run.period)
        inner = [self.items[position] for position in starts]
        return [self._first(run, starts[0], inner), *inner, self._last(run, inner)]

    def _first(self, run: Run, start: int, inner: list[int]) -> int:
        """Where the first repetition may begin, if what repeats begins in the middle of it."""
        before = start - run.period
        earliest = self.items[before] + 1 if before >= 0 else 0
        for number in range(earliest, inner[0]):
            if self.alive[number] <= self.alive[inner[1]]:
                return number
        return min(self.items[run.start], inner[0])

    def _last(self, run: Run, inner: list[int]) -> int:
        """Where the last repetition may end; the loss is no part of it."""
        end = min(2 * inner[-1] - inner[-2], self.flow.forward)
        for number in range(end, inner[-1], -1):
            if self.carried[number] == self.carried[inner[1]]:
                return number
        return self.items[run.stop] if run.stop < len(self.items) else inner[-1]


def _alive(flow: Flow, items: dict[int, int]) -> tuple[list[int], list[tuple[int, ...]]]:
    last: dict[int, int] = {}
    for number, op in enumerate(flow.ops[: flow.forward]):
        if number in flow.needed and not op.is_view:
            last |= dict.fromkeys((s for s in op.reads if flow.is_activation(s)), number)
    change = [0] * (flow.forward + 2)
    ends: dict[int, list[int]] = defaultdict(list)
    starts: dict[int, list[int]] = defaultdict(list)
    for storage, end in last.items():
        change[flow.producers[storage] + 1] += flow.sizes[storage]
        change[end + 1] -= flow.sizes[storage]
        if storage in items:
            starts[flow.producers[storage] + 1].append(storage)
            ends[end + 1].append(storage)
    carried: list[tuple[int, ...]] = []
    alive: dict[int, None] = {}
    for number in range(flow.forward + 1):
        alive |= dict.fromkeys(starts[number])
        for storage in ends[number]:
            alive.pop(storage, None)
        carried.append(tuple(sorted(flow.sizes[storage] for storage in alive)))
    return list(accumulate(change)), carried
