"""Steps and machines made at random."""

from __future__ import annotations

from hypothesis import strategies as st

from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.step import Segment, Step, Tensor, Update

rates = st.integers(1, 40).map(float)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Anything from a device that is starved to one that is fed at once; the SSD is large."""
    return Machine(
        device=1e9,
        host=float(draw(st.integers(0, 300))),
        ssd=1e9,
        to_device=draw(rates),
        to_host=draw(rates),
        ssd_read=draw(rates),
        ssd_write=draw(rates),
        compute=draw(rates),
        host_update=draw(rates),
    )


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Weights that two passes read, activations between them, gradients, updates with states."""
    layers = draw(st.integers(1, 6))
    segments = [
        Segment(phase, float(draw(st.integers(0, 60))), float(draw(st.integers(0, 9))))
        for phase in ("forward", "backward", "update")
        for _ in range(layers)
    ]
    tensors: list[Tensor] = []
    updates = []
    for layer in range(layers):
        forward, backward, update = layer, 2 * layers - 1 - layer, 2 * layers + layer
        size = float(draw(st.integers(1, 30)))
        tensors.append(Tensor(f"frozen {layer}", "frozen", size, (forward, backward)))
        tensors.append(_activation(draw, layer, forward, backward))
        if not draw(st.booleans()):
            continue
        first, size = len(tensors), float(draw(st.integers(1, 9)))
        uses = (forward, backward, update)
        tensors += [
            Tensor(f"trained {layer}", "trainable", size, uses, (update,)),
            Tensor(f"state {layer}", "state", 2 * size, (update,), (update,)),
            Tensor(f"gradient {layer}", "gradient", size, (backward, update), (backward,)),
        ]
        updates.append(Update(update, size / 2, (first + 2,), (first + 1,), first))
    return Step("random", "full", tuple(segments), tuple(tensors), tuple(updates), 2.0)


def _activation(draw: st.DrawFn, layer: int, forward: int, backward: int) -> Tensor:
    later = draw(st.sets(st.integers(forward, backward), max_size=2))
    uses = tuple(sorted({forward, backward, *later}))
    size = float(draw(st.integers(1, 20)))
    return Tensor(f"activation {layer}", "activation", size, uses, uses[:1])
