"""A lower bound on the time of a step under a budget, by linear programming (HiGHS, in SciPy).

What any schedule must do: every gap of every tensor is bridged on the device, or from the host's
memory, or from the SSD. Here parts of tensors may go each way, transfers need no room on the device
and never wait. The bound is the least time in which computing and every queue can be done.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssft.compiler.cost_model.streaming.gaps import Gap, gaps, occupied, visits
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.step import Step


def least_seconds(step: Step, machine: Machine) -> float:
    """Returns the bound; the budget must be enough for the step at all."""
    computing = step.flops / machine.compute
    visited = visits(step)
    found = gaps(step, visited)
    if not found:
        return computing
    return max(computing, _Program(step, machine, found, occupied(step, visited)).solve())


class _Program:
    """Variables: by gap, the part that stays on the device and the part that passes the SSD; by
    tensor, the part whose home is the host; by segment, bytes that stay; last, the time.
    """

    def __init__(
        self, step: Step, machine: Machine, found: Sequence[Gap], base: np.ndarray
    ) -> None:
        self.step, self.machine, self.found = step, machine, found
        self.room = machine.device - base
        self.gaps, self.tensors, self.count = len(found), len(step.tensors), len(base)
        self.time = 2 * self.gaps + self.tensors + self.count
        self.rows: list[tuple[dict[int, float], float]] = []

    def solve(self) -> float:
        """Returns the least time."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_array

        self._queues()
        self._homes()
        equal, constants = self._held()
        cost = np.zeros(self.time + 1)
        cost[self.time] = 1.0
        bounds = [(0.0, 1.0)] * (2 * self.gaps + self.tensors)
        bounds += [(0.0, float(room)) for room in self.room] + [(0.0, None)]
        above = csr_array(_sparse([row for row, _ in self.rows], self.time + 1))
        result = linprog(
            cost,
            A_ub=above,
            b_ub=[limit for _, limit in self.rows],
            A_eq=csr_array(_sparse(equal, self.time + 1)),
            b_eq=constants,
            bounds=bounds,
            method="highs",
        )
        # Without a solution homes have no room, which the search for a schedule reports.
        return float(result.fun) if result.success else 0.0

    def _queues(self) -> None:
        """Time x rate is at least what a queue moves: what does not stay, and what must move."""
        machine, gaps = self.machine, range(self.gaps)
        updated = [t for t in self.step.tensors if t.on_host and t.uses]
        always = sum(t.bytes for t in updated if not t.temporary)
        gradients = sum(t.bytes for t in updated if t.temporary)
        for rate, moved, constant in (
            (machine.to_device, [gap.load for gap in self.found], always),
            (machine.to_host, [gap.store for gap in self.found], gradients),
        ):
            row = {gap: -moved[gap] / rate for gap in gaps if moved[gap]} | {self.time: -1.0}
            self.rows.append((row, -(sum(moved) + constant) / rate))
        for rate, moved in (
            (machine.ssd_read, [gap.load for gap in self.found]),
            (machine.ssd_write, [gap.store for gap in self.found]),
        ):
            row = {self.gaps + gap: moved[gap] / rate for gap in gaps if moved[gap]}
            self.rows.append((row | {self.time: -1.0}, 0.0))
        elements = sum(u.elements for u in self.step.updates if self.step.tensors[u.weight].on_host)
        self.rows.append(({self.time: -1.0}, -elements / machine.host_update))

    def _homes(self) -> None:
        """What neither stays nor has its home on the host passes the SSD."""
        sizes = [tensor.bytes for tensor in self.step.tensors]
        for number, gap in enumerate(self.found):
            home = 2 * self.gaps + gap.tensor
            self.rows.append(({number: -1.0, self.gaps + number: -1.0, home: -1.0}, -1.0))
        host = {2 * self.gaps + n: size for n, size in enumerate(sizes) if size}
        self.rows.append((host, self.machine.host))

    def _held(self) -> tuple[list[dict[int, float]], list[float]]:
        """Bytes that stay during a segment are those during the one before, plus and minus."""
        first = 2 * self.gaps + self.tensors
        rows: list[dict[int, float]] = [{first + n: -1.0} for n in range(self.count)]
        for n in range(1, self.count):
            rows[n][first + n - 1] = 1.0
        for number, gap in enumerate(self.found):
            for part in gap.slices(self.count):
                if part.start < part.stop:
                    rows[part.start][number] = rows[part.start].get(number, 0.0) + gap.load
                    if part.stop < self.count:
                        rows[part.stop][number] = rows[part.stop].get(number, 0.0) - gap.load
        return rows, [0.0] * self.count


def _sparse(rows: Sequence[dict[int, float]], columns: int):
    from scipy.sparse import coo_array

    # Bytes and seconds differ by ten orders of magnitude: rows are scaled, which changes nothing.
    values = [value for row in rows for value in row.values()]
    across = [column for row in rows for column in row]
    down = [number for number, row in enumerate(rows) for _ in row]
    return coo_array((values, (down, across)), shape=(len(rows), columns))
