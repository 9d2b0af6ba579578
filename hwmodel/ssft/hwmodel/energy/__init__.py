"""Energy of a run: counters times coefficients, and powers times time."""

from ssft.hwmodel.energy.energy import Energy, Term, energy

__all__ = ["Energy", "Term", "energy"]
