"""The fewest cycles that a product alone can take, whatever its tiling and schedule."""

from __future__ import annotations

from ssft.compiler.backends.hw.tiles import cost
from ssft.hwmodel.config import Machine

MOST_COMMANDS = 32
"""Of more commands only the fill and drain are counted."""


def fewest_cycles(machine: Machine, macs: int, factor_bytes: int, result_bytes: int) -> float:
    """A lower bound for a product on dot lanes whose operands all lie in DRAM.

    Let the product be p commands, of which the first i do the share P_i of the work W (in cycles at
    peak). Of two factors, x of all bytes are enough for at most x of all work, so command i cannot
    start before issue, r P_i cycles of transfers at the rate of a stream, and the latency, where
    r W is the time to load the factors. So if the tensor unit has been idle for X cycles before
    command i + 1, r P_{i+1} <= X + P_i + i o, where o is what a command costs beside its work: with
    X, each command gives time to load more for the next one. Backwards in time the same holds for
    stores, since results that are not complete before a command are at least as large a part of all
    results as the work that is left is of all work. All idle time is X before some command and Y
    after it, for every i, and both sides together have to do all of the work.
    """
    tensor, issue = machine.tensor, machine.command.issue_cycles
    overhead = tensor.fill_cycles + tensor.drain_cycles + issue
    work = macs / machine.peak_macs_per_cycle
    stream = machine.dram.bandwidth / machine.clock.frequency * machine.dram.efficiency.stream
    loads, stores = factor_bytes / stream, result_bytes / stream
    latency = cost.latency_cycles(machine)
    before, after = (_chain(cycles / work, overhead) for cycles in (loads, stores))
    lost = [
        count * overhead + _idle(work, before[: count + 1], after[: count + 1])
        for count in range(1, MOST_COMMANDS + 1)
    ]
    fewest = min(*lost, (MOST_COMMANDS + 1) * overhead)
    return max(2 * latency + work + fewest, issue + loads + stores + latency)


def _chain(ratio: float, overhead: int) -> list[tuple[float, float]]:
    """For each number of commands the most work they do: ``slope * idle + constant``."""
    found = [(0.0, 0.0)]
    for number in range(MOST_COMMANDS):
        slope, constant = found[-1]
        found.append(((slope + 1) / ratio, (constant + overhead * number) / ratio))
    return found


def _idle(
    work: float, before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> float:
    """The least idle time with which some commands and those after them do all of the work."""
    splits = zip(before, reversed(after), strict=True)
    least = (
        (work - first - second) / max(slope, other) for (slope, first), (other, second) in splits
    )
    return max(0.0, *least)
