"""The functional machine: executes a program bit for bit, and refuses what no program may do."""

from ssft.hwmodel.machine.errors import (
    DeadlockError,
    MachineError,
    OutOfBoundsError,
    RaceError,
    UninitializedError,
)
from ssft.hwmodel.machine.machine import FunctionalMachine, RunStatistics

__all__ = [
    "DeadlockError",
    "FunctionalMachine",
    "MachineError",
    "OutOfBoundsError",
    "RaceError",
    "RunStatistics",
    "UninitializedError",
]
