"""Sizes of memory, read and written."""

from __future__ import annotations

from decimal import Decimal

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


def mebibytes(size: int) -> str:
    """A size for people."""
    return f"{size / 2**20:,.1f} MiB"
