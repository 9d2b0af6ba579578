"""The functional machine: executes a program bit for bit, and refuses what no program may do."""

from ssft.hwmodel.machine.errors import (
    DeadlockError,
    MachineError,
    OutOfBoundsError,
    RaceError,
    UninitializedError,
)
from ssft.hwmodel.machine.machine import FunctionalMachine, Progress, RunStatistics

__all__ = [
    "DeadlockError",
    "FunctionalMachine",
    "MachineError",
    "OutOfBoundsError",
    "Progress",
    "RaceError",
    "RunStatistics",
    "UninitializedError",
]
