"""What to say when no plan fits the memory: what takes it, and what would fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ssft.compiler.analysis import cost
from ssft.compiler.analysis.step import find_step
from ssft.compiler.byte_sizes import readable, told_apart
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import read_signature
from ssft.dialects._mlir import ir

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import MemoryUse

_KINDS = {
    "trainable": "parameters that train",
    "frozen": "frozen weights",
    "state": "optimizer states",
}


def refusal(module: ir.Module, mode: str, use: MemoryUse, budget: int) -> UserError:
    """The error for a plan of which a step takes `use` at least, by checkpointing `mode`."""
    sizes = _by_kind(module)
    gradients = cost.memory_bytes(find_step(module.operation))["gradients"]
    how = {"none": "with nothing computed again"}.get(mode, f"with --checkpoint {mode}")
    least, limit = told_apart(use.total, budget)
    return UserError(
        f"a step takes at least {least} ({how}), more than the budget of {limit}",
        notes=[
            *(f"{kind}: {readable(size)}" for kind, size in sizes.items() if size),
            f"temporaries: {readable(use.arena)}, of which gradients of what trains "
            f"{readable(min(gradients, use.arena))}",
            *_remedies(sizes, use, gradients, budget),
        ],
    )


def _by_kind(module: ir.Module) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for argument in read_signature(module).arguments:
        sizes[_KINDS.get(argument.role, "batch")] += argument.bytes
    return sizes


def _remedies(sizes: Counter[str], use: MemoryUse, gradients: int, budget: int) -> Iterator[str]:
    """What would fit, each by itself; all together if nothing does."""
    frozen, states = sizes["frozen weights"], sizes["optimizer states"]
    others = max(0, use.arena - gradients)
    room = budget - (use.total - others)
    found = False
    if use.total - frozen <= budget:
        found = True
        yield (
            f"with frozen weights read from their file a step takes "
            f"{readable(use.total - frozen)}: give --memory-budget to ssft-run instead, and "
            "--checkpoint layer here"
        )
    if room > 0 and others:
        found = True
        yield (
            f"a batch of {room / others:.0%} of the tokens (fewer or shorter sequences) would fit, "
            "if temporaries shrink as it does"
        )
    if states + gradients and use.total - states - gradients <= budget:
        found = True
        yield (
            f"training less would fit: a recipe such as s2ft, or a smaller --ratio, saves up to "
            f"{readable(states + gradients)} of states and gradients"
        )
    if not found:
        least = use.total - frozen - states - gradients - others
        yield (
            "none of a smaller batch, frozen weights in their file and training less is enough by "
            f"itself; all together leave {readable(least)}"
        )
