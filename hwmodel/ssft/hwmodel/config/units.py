"""Units of machine constants: what spellings stand for a unit, and by which factor.

A unit is written as in ``B/s``, ``pJ/MAC`` or ``pJ/bit/mm``. The first part may have a decimal
prefix (``GB/s``), bytes also a binary one (``MiB``); everything else must match the unit exactly.
"""

from __future__ import annotations

import re
from decimal import Decimal

EXPONENTS = {"p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}
FACTORS = {prefix: Decimal(10) ** exponent for prefix, exponent in EXPONENTS.items()} | {
    prefix: Decimal(2**exponent) for prefix, exponent in BINARY.items()
}
"""Decimal, so that 100 ns is the same number as 1e-7."""
LARGE, SMALL = ("", "k", "M", "G", "T"), ("", "m", "u", "n", "p")
PREFIXES: dict[str, tuple[str, ...]] = {
    "B": (*LARGE, *BINARY),
    "Hz": LARGE,
    "J": SMALL,
    "W": SMALL,
    "s": SMALL,
}
"""Prefixes by the unit that takes them. Others take none: there is no such thing as a kilo-lane."""

QUANTITY = re.compile(r"\s*([+-]?(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


def spellings(unit: str) -> dict[str, Decimal]:
    """Every way to write `unit`, with the factor that converts a number to `unit`."""
    first, slash, rest = unit.partition("/")
    return {
        f"{prefix}{first}{slash}{rest}": FACTORS[prefix] for prefix in PREFIXES.get(first, ("",))
    }


def describe(unit: str) -> str:
    """`unit` and other ways to write it, for messages: ``B/s (or kB/s, MB/s, GB/s, ...)``."""
    ways = [way for way in spellings(unit) if way != unit]
    return f"{unit} (or {', '.join(ways)})" if ways else unit


def split_quantity(text: str) -> tuple[float, str] | None:
    """The number and the unit (may be empty) of ``1e12``, ``1TB/s`` or ``64 MiB``; None if neither.

    >>> split_quantity("1.5 TB/s")
    (1.5, 'TB/s')
    """
    match = QUANTITY.fullmatch(text)
    if match is None:
        return None
    try:
        return float(match[1]), match[2]
    except ValueError:
        return None
