"""What of a matrix one tensor-parallel rank holds and trains.

Megatron-LM (arXiv 1909.08053, section 3) splits q, k, v, gate and up by their outputs, o and down
by their inputs, embedding and head by vocabulary. Those are the axes that co-permutation moves:
heads and feed-forward channels. A selection along a split axis therefore lies on some ranks and not
on others, as `Layout.placement` says; one along the other dimension is split evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.cost_model.architecture import (
    ATTENTION,
    SPLIT_BY_INPUTS,
    Architecture,
    Linear,
)
from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.training import Columns, Frozen, LowRank, Rows
from ssft.compiler.diagnostics import UserError


@dataclass(frozen=True)
class Shard:
    """One rank's part of a linear layer, in elements.

    `weights`: of the matrix. `trained`: of the matrix or of its adapter. `copies`: ranks that hold
    the same weights. `partial`: numbers of trained elements, and of ranks of which each has an
    addend of their gradients.
    """

    weights: float
    trained: float
    copies: int = 1
    partial: tuple[tuple[float, int], ...] = ()


def shard(shapes: Architecture, linear: Linear, kind: Frozen, layout: Layout, rank: int) -> Shard:
    """Returns what tensor-parallel rank `rank` holds of a matrix of which `kind` trains."""
    # Fewer key/value heads than ranks: each is held by several, whose queries share it.
    copies = 1
    if linear.name in ("k", "v"):
        copies = max(1, layout.tensor // shapes.key_value_heads)
    share = copies / layout.tensor
    weights = linear.weights * share
    if isinstance(kind, LowRank):
        return _adapter(linear, kind, layout, share, weights, copies)
    trained = kind.parameters(linear) * share
    along = _selected_along_split(linear, kind)
    if along is not None:
        count, others = along
        owners = layout.tensor // copies
        unit = _unit(shapes, linear, count)
        trained = others * _placed(count, unit, _axis(linear), owners, rank // copies, layout)
    return Shard(weights, trained, copies, _partial((trained, copies)))


def _selected_along_split(linear: Linear, kind: Frozen) -> tuple[int, int] | None:
    """Number of selected channels of the split axis and size of the other one; None if neither."""
    if isinstance(kind, Columns) and linear.name in SPLIT_BY_INPUTS:
        return kind.count, linear.outputs
    if isinstance(kind, Rows) and linear.name not in SPLIT_BY_INPUTS:
        return kind.count, linear.inputs
    return None


def _axis(linear: Linear) -> int:
    """Size of the axis that is split."""
    return linear.inputs if linear.name in SPLIT_BY_INPUTS else linear.outputs


def _unit(shapes: Architecture, linear: Linear, count: int) -> int:
    """Channels that stay together: a head's where whole heads are selected, otherwise one."""
    whole_heads = linear.name in ATTENTION and count % shapes.head_size == 0
    return shapes.head_size if whole_heads else 1


def _placed(count: int, unit: int, axis: int, owners: int, rank: int, layout: Layout) -> int:
    """Selected channels of the split axis that a rank has, of `count` in units."""
    if layout.placement == "front":
        each = axis // owners
        return min(max(count - rank * each, 0), each)
    units, more = divmod(count // unit, owners)
    return (units + (rank < more)) * unit


def _adapter(
    linear: Linear, kind: LowRank, layout: Layout, share: float, weights: float, copies: int
) -> Shard:
    """The factor beside the split dimension is split as W is; the other one is on every rank.

    Each rank knows only its addend of that one's gradient: they have to be summed.
    """
    if kind.magnitude and layout.tensor > 1:
        raise UserError(
            "tensor parallelism is not covered for DoRA, whose norms run over split matrices",
            notes=["use --tensor 1, or --method lora"],
        )
    by_inputs = linear.name in SPLIT_BY_INPUTS
    split, other = (linear.inputs, linear.outputs) if by_inputs else (linear.outputs, linear.inputs)
    magnitude = linear.outputs if kind.magnitude else 0
    trained = kind.rank * (split * share + other) + magnitude
    partial = _partial((kind.rank * split * share, copies), (kind.rank * other, layout.tensor))
    return Shard(weights, trained, copies, partial)


def _partial(*sums: tuple[float, int]) -> tuple[tuple[float, int], ...]:
    """The sums that are over several ranks."""
    return tuple((elements, ranks) for elements, ranks in sums if ranks > 1 and elements)
