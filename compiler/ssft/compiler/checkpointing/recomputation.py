"""What is computed again, where, and how much memory the step then takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ssft.compiler.analysis.flow import Flow
from ssft.compiler.analysis.liveness import Access, alive_bytes


@dataclass(frozen=True)
class Recomputation:
    """The operations `again` of the forward pass of `flow` are done again in the backward pass.

    Each of them is done again once, when the backward pass first reads what it leads to, and from
    what is kept: every other storage that they or the backward pass read.
    """

    flow: Flow
    again: frozenset[int]

    @classmethod
    def dropping(
        cls, flow: Flow, dropped: Collection[int], crossing: Collection[int] = ()
    ) -> Recomputation:
        """Recomputes the storages `dropped`, from `crossing` and what is saved anyway."""
        kept = (set(flow.saved()) - set(dropped)) | set(crossing)
        return cls(flow, frozenset(chain(flow, dropped, kept)))

    @cached_property
    def storages(self) -> frozenset[int]:
        """What is made again."""
        return frozenset(s for number in self.again for s in self.flow.ops[number].makes)

    @property
    def flops(self) -> int:
        """Floating-point operations of the products that are done again."""
        return sum(self.flow.ops[number].products for number in self.again)

    @property
    def saved_bytes(self) -> int:
        """What the forward pass keeps for the backward pass, in bytes."""
        return self.flow.bytes(self._kept)

    @cached_property
    def _kept(self) -> set[int]:
        reads = [self.flow.ops[number].reads for number in self.again]
        reads += [op.reads for op in self.flow.ops[self.flow.forward : -1] if not op.is_view]
        found = {s for storages in reads for s in storages if self.flow.is_activation(s)}
        return found - self.storages

    @cached_property
    def placed(self) -> dict[int, list[int]]:
        """Which operations are done again right before each operation of the backward pass."""
        return dict(self._place())

    def _place(self) -> Iterator[tuple[int, list[int]]]:
        done: set[int] = set()
        for number in range(self.flow.forward, len(self.flow.ops)):
            op = self.flow.ops[number]
            if op.is_view:
                continue  # memory is read where views are
            wanted = self._missing(op.reads, done)
            if wanted:
                self._add_reducing(wanted, done)
                done |= wanted
                yield number, sorted(wanted)

    def _missing(self, storages: Iterable[int], done: set[int]) -> set[int]:
        """What is to be done before `storages` can be read."""
        found: set[int] = set()
        pending = list(storages)
        while pending:
            number = self.flow.producers[pending.pop()]
            if number in self.again and number not in done and number not in found:
                found.add(number)
                pending += self.flow.ops[number].reads
        return found

    def _add_reducing(self, wanted: set[int], done: set[int]) -> None:
        """Adds what makes less of a storage, and is to be done later anyway.

        Otherwise all of an activation would stay for the slice that a weight gradient reads.
        """
        pending = list(wanted)
        while pending:
            for number in self._readers[pending.pop()]:
                op = self.flow.ops[number]
                smaller = self.flow.bytes(set(op.makes)) < self.flow.bytes(set(op.reads))
                if number in wanted or number in done or not smaller:
                    continue
                if self._missing(op.reads, done) <= wanted:
                    wanted.add(number)
                    pending.append(number)

    @cached_property
    def _readers(self) -> dict[int, list[int]]:
        """The operations done again that read what each operation done again makes."""
        found: dict[int, list[int]] = defaultdict(list)
        for number in sorted(self.again):
            for storage in self.flow.ops[number].reads:
                found[self.flow.producers[storage]].append(number)
        return found

    def peak(self) -> int:
        """The most bytes of temporaries that are alive at once, as `Flow.peak` counts."""
        return max(alive_bytes(list(reversed(list(self._live(self._accesses()))))))

    def _accesses(self) -> list[Access[int]]:
        """What each operation does to memory, in the order of execution.

        What is made again has a number of its own.
        """
        flow, shift = self.flow, len(self.flow.sizes)

        def again(storages: Iterable[int]) -> tuple[int, ...]:
            return tuple(s + shift if s in self.storages else s for s in storages)

        found: list[Access[int]] = []
        for number, op in enumerate(flow.ops):
            for earlier in self.placed.get(number, ()):
                copy = flow.access(flow.ops[earlier])
                makes = {s + shift: size for s, size in copy.makes.items()}
                found.append(Access(again(copy.reads), makes, copy.overwrites))
            access = flow.access(op)
            backward = number >= flow.forward
            reads = again(access.reads) if backward else access.reads
            found.append(Access(() if op.is_view else reads, access.makes, access.overwrites))
        return found

    def _live(self, accesses: list[Access[int]]) -> Iterator[Access[int]]:
        """Yields those that are of use, last first: nobody needs what was done for a saved slice.

        Operations that make nothing of their own write onto arguments.
        """
        read: set[int] = set()
        for access in reversed(accesses):
            if not access.makes or not read.isdisjoint(access.makes):
                read |= set(access.reads)
                yield access


def chain(
    flow: Flow, storages: Iterable[int], kept: Collection[int], done: Collection[int] = ()
) -> set[int]:
    """Returns the operations that compute `storages` from `kept` and the step's arguments.

    The operations `done` are done anyway. What nothing is read for (tables of positions) is kept,
    too: there would be no telling it from what the forward pass computed.
    """
    found: set[int] = set()
    pending = list(storages)
    while pending:
        number = flow.producers[pending.pop()]
        if number in found or number in done or not _reads_something(flow, number):
            continue
        found.add(number)
        pending += (s for s in flow.ops[number].reads if flow.is_activation(s) and s not in kept)
    return found


def _reads_something(flow: Flow, number: int) -> bool:
    producers = (flow.producers[storage] for storage in flow.ops[number].reads)
    return any(producer < 0 or not flow.ops[producer].is_free for producer in producers)
