"""Repeated stretches of straight-line code: found, shortened, and lengthened.

A model of n equal layers is n copies of one stretch of code in its forward graph, n more in the
backward part of its step, and n more in the update. None of this knows MLIR or FX: code is a
`Sequence` of keys and positions.
"""

from ssft.compiler.repeats.change import Changed, UnevenError, change_counts
from ssft.compiler.repeats.runs import Run, candidate_periods, find_runs
from ssft.compiler.repeats.sequence import Sequence, SequenceBuilder
from ssft.compiler.repeats.stretches import Stretch, find_stretches

__all__ = [
    "Changed",
    "Run",
    "Sequence",
    "SequenceBuilder",
    "Stretch",
    "UnevenError",
    "candidate_periods",
    "change_counts",
    "find_runs",
    "find_stretches",
]
