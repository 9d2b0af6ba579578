"""ZeRO (arXiv 1910.02054): states, gradients and weights sharded over data-parallel ranks.

Only what trains has gradients and states, so under a sparse method these are slices: a slice's
gradient is a dense tensor of its own, which goes into a bucket as it is. What the forward and the
backward pass read is the whole model, frozen or not: stage 3 gathers all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.pieces import ModelBytes, Piece, whole
from ssft.compiler.cost_model.parallel.traffic import Purpose, Transfer


def sharded_bytes(pieces: Sequence[Piece], layout: Layout) -> ModelBytes:
    """Returns a rank's bytes: stage 1 divides the states, 2 the gradients, 3 the weights, too.

    Section 5 and figure 1 of the paper, with the bytes of an element that the pieces have. Stage 3
    needs a buffer besides, for the largest unit gathered; without data parallelism there is none.
    """
    total = whole(pieces)
    shards = [layout.data if layout.zero >= stage else 1 for stage in (3, 2, 1)]
    gathered = 0.0
    if shards[0] > 1:
        units: dict[str, float] = {}
        for piece in pieces:
            units[piece.unit] = units.get(piece.unit, 0.0) + piece.weights
        gathered = max(units.values(), default=0.0)
    return ModelBytes(
        total.weights / shards[0], total.gradients / shards[1], total.states / shards[2], gathered
    )


def zero_transfers(pieces: Sequence[Piece], layout: Layout) -> Iterator[Transfer]:
    """Yields what a rank exchanges with its data-parallel peers in a step.

    * Stage 0: the gradients' all-reduce.
    * Stage 1: their reduce-scatter, once a step, and an all-gather of the weights that changed: as
      many bytes as stage 0 if weights and gradients have the same type (section 7.2.1).
    * Stage 2: the reduce-scatter follows each backward pass, so that no whole gradient is kept:
      once a microbatch.
    * Stage 3: the weights are gathered for each forward pass, and those that the backward pass
      reads once more for it (section 7.2.2); none are gathered after the update. A backward pass
      does not read a matrix whose input needs no gradient.
    """
    total = whole(pieces)
    passes = layout.microbatches

    def transfer(purpose: Purpose, collective: str, size: float, count: int) -> Transfer:
        return Transfer(purpose, "data", collective, size, layout.data, count)

    if layout.zero == 0:
        yield transfer("gradients", "all-reduce", total.gradients, 1)
        return
    yield transfer(
        "gradients", "reduce-scatter", total.gradients, passes if layout.zero >= 2 else 1
    )
    if layout.zero < 3:
        yield transfer("weights", "all-gather", sum(piece.updated for piece in pieces), 1)
        return
    forward = sum(piece.weights for piece in pieces if piece.forward)
    backward = sum(piece.weights for piece in pieces if piece.backward)
    yield transfer("weights", "all-gather", forward, passes)
    yield transfer("weights", "all-gather", backward, passes)
