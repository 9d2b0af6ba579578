"""Keeping a session's memory within what the user gave it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ssft.compiler.byte_sizes import parse_bytes, readable, told_apart
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import StepSignature

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import MemoryUse

__all__ = ["argument_bytes", "parse_bytes", "stays_in_file", "weights_to_map"]


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
    least, limit = told_apart(kept, budget)
    raise UserError(
        f"a step needs {least} beside the frozen weights in their file, "
        f"more than the budget of {limit}",
        notes=[
            f"temporaries are {readable(memory.arena)}, parameters that train "
            f"{readable(trained)}, their states {readable(states)}",
            _advice(memory.arena, trained + states),
        ],
    )


def _advice(temporaries: int, training: int) -> str:
    if temporaries > training:
        return (
            "compile the model with --checkpoint layer, which computes activations again, with a "
            "smaller batch, or with shorter sequences"
        )
    return "train less: a smaller --ratio, or fewer projections"


def argument_bytes(signature: StepSignature, weights: Collection[str]) -> int:
    """Returns the size of the weights (not of their states) of these names."""
    return sum(
        argument.bytes
        for argument in signature.arguments
        if argument.name in weights and argument.state is None
    )
