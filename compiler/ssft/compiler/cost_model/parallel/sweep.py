"""Sweeps: the same step under every combination of some settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from ssft.compiler.diagnostics import UserError

SETTINGS = ("data", "tensor", "pipeline", "zero", "microbatches", "batch", "length")
"""What can be swept."""


def parse_sweep(text: str) -> tuple[str, tuple[int, ...]]:
    """Reads ``data=1,2,4``; UserError for an unknown setting or what is no list of numbers."""
    name, _, rest = text.partition("=")
    if name not in SETTINGS:
        raise UserError(
            f"'{name}' cannot be swept", notes=[f"{', '.join(SETTINGS)} can"], exit_code=2
        )
    values = rest.split(",")
    if not all(value.strip().isdecimal() for value in values):
        raise UserError(f"'{text}' is no sweep", notes=["e.g. data=1,2,4,8"], exit_code=2)
    numbers = tuple(int(value) for value in values)
    if name != "zero" and 0 in numbers:
        raise UserError(f"{name} 0 is not at least 1", exit_code=2)
    return name, numbers


def points(sweeps: Sequence[tuple[str, Sequence[int]]]) -> Iterator[Mapping[str, int]]:
    """Yields each combination of the swept settings, the last setting changing fastest."""
    names = [name for name, _ in sweeps]
    for values in product(*(values for _, values in sweeps)):
        yield dict(zip(names, values, strict=True))
