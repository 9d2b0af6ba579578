"""Repetitions in an exported forward graph, and the same graph with fewer of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily

from ssft.compiler.frontend.forward import ForwardGraph
from ssft.compiler.repeats import (
    Changed,
    Run,
    Sequence,
    SequenceBuilder,
    UnevenError,
    candidate_periods,
    change_counts,
    find_runs,
)

WeightKey = Callable[[str], Hashable]


@dataclass(frozen=True)
class RepeatedWeights:
    """The weights of a run of repetitions.

    ``names[k][i]`` is weight i of repetition k of the model, ``kept[k][i]`` of the shortened one.
    """

    names: tuple[tuple[str, ...], ...]
    kept: tuple[tuple[str, ...], ...]

    @property
    def removed(self) -> int:
        """How many repetitions the shortened model lacks."""
        return len(self.names) - len(self.kept)


@dataclass(frozen=True)
class ShortForward:
    """A forward graph with fewer repetitions, and the weights of those that repeat."""

    graph: ForwardGraph
    weights: tuple[RepeatedWeights, ...]


def shorten(forward: ForwardGraph, key_of: WeightKey, least: int, kept: int) -> ShortForward | None:
    """Returns `forward` with `kept` repetitions of whatever it repeats at least `least` times.

    `key_of` says of a weight, by name, all that matters to the step besides its shape and dtype:
    weights with different keys never take each other's place. None if nothing repeats evenly.
    """
    nodes = list(forward.graph_module.graph.nodes)
    sequence = _sequence(forward, nodes, key_of)
    first = len(forward.inputs)
    runs = _runs(sequence, first, least)
    groups = _groups(sequence, runs, first)
    extra = [kept - groups[number] for number in range(len(runs))]
    if not runs:
        return None
    try:
        changed = change_counts(sequence, runs, extra)
    except UnevenError:
        return None
    short = _rebuild(forward, nodes, changed)
    weights = tuple(
        _weights(forward, run, more)
        for run, more in zip(runs, extra, strict=True)
        if run.stop <= first
    )
    return ShortForward(short, weights)


def _runs(sequence: Sequence, first_operation: int, least: int) -> list[Run]:
    """Finds runs of operations, and of the inputs that they read in turn."""
    found = find_runs(sequence, candidate_periods(sequence, least), range(least, len(sequence)))
    layers = [run for run in found if run.start >= first_operation]
    counts = {run.count - less for run in layers for less in (-1, 0, 1)}
    periods = {abs(step) for run in layers for step in _steps(sequence, run) if step}
    inputs = Sequence(sequence.keys[:first_operation], sequence.operands[:first_operation])
    return [*find_runs(inputs, periods, counts), *layers]


def _steps(sequence: Sequence, run: Run) -> Iterator[int]:
    """How far operands move between the second repetition and the third."""
    for position in range(run.start + run.period, run.start + 2 * run.period):
        later = sequence.operands[position + run.period]
        yield from (b - a for a, b in zip(sequence.operands[position], later, strict=True))


def _groups(sequence: Sequence, runs: list[Run], first_operation: int) -> dict[int, int]:
    """Returns for each run the number of repetitions of the operations that it belongs to."""
    groups: dict[int, int] = {}
    for number, run in enumerate(runs):
        if run.start < first_operation:
            continue
        groups[number] = run.count
        for position in range(run.start + run.period, run.start + 2 * run.period):
            for operand in sequence.operands[position]:
                for other, inputs in enumerate(runs):
                    if inputs.stop <= first_operation and inputs.place(operand):
                        groups.setdefault(other, run.count)
    return groups


def _sequence(forward: ForwardGraph, nodes: list[fx.Node], key_of: WeightKey) -> Sequence:
    builder = SequenceBuilder()
    position: dict[fx.Node, int] = {}
    constants: dict[Hashable, int] = {}
    inputs = iter(forward.inputs)
    for node in nodes:
        if node.op == "placeholder":
            kind, value = next(inputs)
            key = _input_key(node, kind, value, key_of)
            place = builder.append(key)
            # Equal constants are one, or each repetition would have its own.
            position[node] = constants.setdefault(key, place) if kind == "constant" else place
            continue
        key, reads = _node_key(node)
        position[node] = builder.append(key, [position[read] for read in reads])
    return builder.finish()


def _input_key(node: fx.Node, kind: str, value: Any, key_of: WeightKey) -> Hashable:
    if kind == "weight":
        fake = node.meta["val"]
        return (kind, tuple(fake.shape), fake.dtype, key_of(value))
    if kind == "constant":
        return (kind, value.dtype, tuple(value.shape), _bytes(value))
    return (kind, value)


def _bytes(value: Tensor) -> Hashable:
    if value.numel() == 0:
        return b""
    if isinstance(value, FakeTensor):
        return id(value)
    with unset_fake_temporarily():
        return value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _node_key(node: fx.Node) -> tuple[Hashable, list[fx.Node]]:
    """Returns all of a node but what it reads, and what it reads, in order."""
    reads: list[fx.Node] = []

    def collect(read: fx.Node) -> Any:
        reads.append(read)
        return ...  # unlike any literal

    args = fx.map_arg((node.args, node.kwargs), collect)
    target: Any = node.target
    if node.op == "get_attr":
        value = getattr(node.graph.owning_module, str(target))
        target = value.code if isinstance(value, fx.GraphModule) else target
    return (node.op, str(target), repr(args), repr(_shapes(node.meta.get("val")))), reads


def _shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype, value.stride())
    if isinstance(value, tuple | list):
        return [_shapes(item) for item in value]
    return type(value).__name__


def _rebuild(forward: ForwardGraph, nodes: list[fx.Node], changed: Changed) -> ForwardGraph:
    graph = fx.Graph()
    inputs: list[tuple[str, Any]] = []
    new: list[fx.Node] = []
    for source, operands in zip(changed.sources, changed.operands, strict=True):
        reads = iter(operands)
        new.append(graph.node_copy(nodes[source], lambda _, reads=reads: new[next(reads)]))
        if nodes[source].op == "placeholder":
            inputs.append(forward.inputs[source])
    names = {value for kind, value in inputs if kind == "weight"}
    module = fx.GraphModule(forward.graph_module, graph)
    return ForwardGraph(module, inputs, forward.mutated & names)


def _weights(forward: ForwardGraph, run: Run, extra: int) -> RepeatedWeights:
    names = tuple(
        tuple(
            str(forward.inputs[run.start + k * run.period + offset][1])
            for offset in range(run.period)
        )
        for k in range(run.count)
    )
    kept = run.count + extra
    return RepeatedWeights(names, names[: kept - 2] + names[run.count - 2 :])
