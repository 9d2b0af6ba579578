"""Energy of a run: counters times coefficients, and powers times time."""

from ssft.hwmodel.energy.energy import Energy, energy, joules_by_operation
from ssft.hwmodel.energy.terms import Term

__all__ = ["Energy", "Term", "energy", "joules_by_operation"]
