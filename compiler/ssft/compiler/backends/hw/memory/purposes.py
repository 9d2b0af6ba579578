"""What each tensor of a step is for: counters of traffic are kept by it."""

from __future__ import annotations

from ssft.compiler.backends.hw.graph import Graph, Origin
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.compiler.backends.hw.views import Buffer
from ssft.compiler.plan_schema import ArgumentInfo
from ssft.hwmodel.isa import Purpose

_OF_ROLE: dict[str, Purpose] = {
    "trainable": "weight",
    "frozen": "weight",
    "state": "optimizer",
    "hyper": "optimizer",
    "step": "optimizer",
    "seed": "input",
    "input": "input",
    "index": "index",
}


def mark_purposes(graph: Graph, arguments: tuple[ArgumentInfo, ...]) -> None:
    """Gives each buffer its purpose, as `isa.Purpose` defines them.

    A value's follows from the phase of the operation that completes it, which is the last to write
    it; operations must still be one by one, as imported.
    """
    results = {id(buffer) for _, buffer in graph.results}
    made: dict[int, Origin] = {}
    kept: set[int] = set()
    for op in graph.ops:
        made.update((id(buffer), op.origin) for buffer in buffers_written(op))
        if op.origin.recomputed and op.origin.phase == "forward":
            kept.update(id(buffer) for buffer in buffers_read(op))
    for buffer in [*graph.arguments, *graph.buffers]:
        argument = buffer.argument if buffer.mirror is None else buffer.mirror
        if argument is not None:
            buffer.purpose = _OF_ROLE[arguments[argument].role]
        elif id(buffer) in results:
            buffer.purpose = "output"
        else:
            buffer.purpose = _of_value(buffer, made.get(id(buffer)), id(buffer) in kept)


def _of_value(buffer: Buffer, made: Origin | None, kept: bool) -> Purpose:
    """Of a constant, or of a value that is `made`; `kept`: for what checkpoints leave out."""
    if buffer.dtype == "i64":
        return "index"
    if made is None or made.recomputed:
        return "activation"
    if made.phase == "forward":
        return "checkpoint" if kept else "activation"
    return "optimizer" if made.phase == "update" else "gradient"
