"""Energy of a run, by component, phase and coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ssft.hwmodel.energy.terms import Term, event_terms, time_terms
from ssft.hwmodel.isa.program import PHASES
from ssft.hwmodel.timing.counters import Counters


@dataclass(frozen=True, slots=True)
class Energy:
    """The terms of a run's energy; everything else is a sum over them."""

    terms: tuple[Term, ...]

    @property
    def joules(self) -> float:
        """Total energy in J."""
        return math.fsum(term.joules for term in self.terms)

    def by_component(self) -> dict[str, float]:
        """Energy in J of MACs, scratchpad, wires, DRAM, vector work, commands, leakage."""
        parts: dict[str, list[float]] = {}
        for term in self.terms:
            parts.setdefault(term.component, []).append(term.joules)
        return {component: math.fsum(joules) for component, joules in parts.items()}

    def by_phase(self) -> dict[str, float]:
        """Energy in J of each phase; leakage and standby go by the phase's cycles."""
        columns = zip(*(term.parts for term in self.terms), strict=True)
        return dict(zip(PHASES, map(math.fsum, columns), strict=True))

    def sensitivity(self) -> dict[str, float]:
        """By how many per cent the total changes when a coefficient changes by one per cent.

        Every term is linear in its coefficient, so this is its share of the total. Left out are the
        two constants that only scale others: `noc.distance`, which has the share of `noc.wire`, and
        `scratchpad.exponent`.
        """
        total = self.joules
        return {term.key: term.joules / total if total else 0.0 for term in self.terms}


def energy(counters: Counters) -> Energy:
    """Energy of the counted run on its machine."""
    simulation = counters.simulation
    machine = simulation.machine
    seconds = tuple(machine.seconds(cycles) for cycles in counters.phase_cycles)
    return Energy((*event_terms(machine, counters.by_phase), *time_terms(machine, seconds)))


def joules_by_operation(counters: Counters) -> list[float]:
    """Energy in J of what the commands of each source operation do; without leakage and standby."""
    terms = list(event_terms(counters.simulation.machine, counters.by_operation))
    return [math.fsum(parts) for parts in zip(*(term.parts for term in terms), strict=True)]
