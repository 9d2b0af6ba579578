"""Keeping a session's memory within what the user gave it."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import TYPE_CHECKING

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import StepSignature
from ssft.hwmodel.config.units import spellings, split_quantity

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import MemoryUse


def parse_bytes(text: str) -> int:
    """Reads a size such as ``24GB``, ``1.5GiB`` or ``800000000``; a `UserError` says what is wrong.

    >>> parse_bytes("1.5KiB")
    1536
    """
    quantity = split_quantity(text)
    factor = spellings("B").get(quantity[1] or "B") if quantity else None
    if quantity is None or factor is None or quantity[0] <= 0:
        raise UserError(
            f"'{text}' is no size of memory", notes=["write it as in 24GB or 1.5GiB"], exit_code=2
        )
    return int(Decimal(str(quantity[0])) * factor)


def stays_in_file(signature: StepSignature) -> set[str]:
    """The names of the weights that a step reads and never writes."""
    written = {result.updates_arg for result in signature.results}
    return {
        argument.name
        for argument in signature.arguments
        if argument.role == "frozen" and argument.index not in written
    }


def weights_to_map(
    signature: StepSignature, memory: MemoryUse | None, budget: int | None
) -> set[str]:
    """Returns the weights that are to be read from their file, where they lie, so as to fit.

    All that is never written, if the rest fits `budget` (bytes) and the whole does not; nothing
    without a budget. What is mapped takes memory only as long as nobody else wants it: the system
    drops such pages and reads them again.

    Raises:
        UserError: not even the rest fits, or the device does not say what it takes.
    """
    if budget is None:
        return set()
    if memory is None:
        raise UserError(
            "a memory budget is given, but the device does not account for its memory",
            notes=["budgets hold for --device cpu"],
            exit_code=2,
        )
    if memory.total <= budget:
        return set()
    mapped = stays_in_file(signature)
    kept = memory.total - argument_bytes(signature, mapped)
    if kept <= budget:
        return mapped
    states = sum(argument.bytes for argument in signature.arguments if argument.role == "state")
    trained = sum(
        argument.bytes for argument in signature.arguments if argument.role == "trainable"
    )
    raise UserError(
        f"a step needs {mebibytes(kept)} beside the frozen weights in their file, "
        f"more than the budget of {mebibytes(budget)}",
        notes=[
            f"temporaries are {mebibytes(memory.arena)}, parameters that train "
            f"{mebibytes(trained)}, their states {mebibytes(states)}",
            _advice(memory.arena, trained + states),
        ],
    )


def _advice(temporaries: int, training: int) -> str:
    if temporaries > training:
        return "compile the model with a smaller batch, or shorter sequences"
    return "train less: a smaller --ratio, or fewer projections"


def argument_bytes(signature: StepSignature, weights: Collection[str]) -> int:
    """Returns the size of the weights (not of their states) of these names."""
    return sum(
        argument.bytes
        for argument in signature.arguments
        if argument.name in weights and argument.state is None
    )


def mebibytes(size: int) -> str:
    """A size for people."""
    return f"{size / 2**20:,.1f} MiB"
