"""Sizes of memory, read and written."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

from ssft.compiler.diagnostics import UserError
from ssft.hwmodel.config.units import spellings, split_quantity

MOST = 2.0**63
"""Sizes are less than this: what an i64 holds, and more than there is."""


def parse_bytes(text: str) -> int:
    """Reads a size such as ``24GB``, ``1.5GiB`` or ``800000000``; a `UserError` says what is wrong.

    >>> parse_bytes("1.5KiB")
    1536
    """
    quantity = split_quantity(text)
    factor = spellings("B").get(quantity[1] or "B") if quantity else None
    if quantity is None or factor is None or not 0 < quantity[0] < MOST / float(factor):
        raise UserError(
            f"'{text}' is no size of memory", notes=["write it as in 24GB or 1.5GiB"], exit_code=2
        )
    return int(Decimal(str(quantity[0])) * factor)


def readable(size: float, *, decimal: bool = False) -> str:
    """A size for people, in four digits: binary units, or those of the machines' files.

    >>> readable(1572864), readable(1572864, decimal=True)
    ('1.5 MiB', '1.573 MB')
    """
    value, unit = _scaled(size, decimal)
    return f"{value:.4g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def told_apart(first: float, second: float, *, decimal: bool = False) -> tuple[str, str]:
    """Two sizes as `readable` has them, or in bytes if they would look the same.

    >>> told_apart(1572864, 1572865)
    ('1,572,864 B', '1,572,865 B')
    """
    texts = readable(first, decimal=decimal), readable(second, decimal=decimal)
    if texts[0] == texts[1]:
        texts = f"{first:,.0f} B", f"{second:,.0f} B"
    return texts


def enough(size: float) -> str:
    """What to write for an option that must be at least `size`.

    >>> enough(98_765_432)
    '98.766MB'
    """
    value, unit = _scaled(size, decimal=True)
    return f"{ceil(value)}B" if unit == "B" else f"{(int(1000 * value) + 1) / 1000:.3f}{unit}"


def _scaled(value: float, decimal: bool) -> tuple[float, str]:
    base, prefixes = (1000, "kMGT") if decimal else (1024, ("Ki", "Mi", "Gi", "Ti"))
    unit = "B"
    for prefix in prefixes:
        if value < base:
            break
        value, unit = value / base, f"{prefix}B"
    return value, unit
