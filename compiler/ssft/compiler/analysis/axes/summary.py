"""From the forest to the answer: numbers for axes, members, layouts, reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ssft.compiler.analysis.axes.builder import AxisBuilder
from ssft.compiler.analysis.axes.forest import AxisForest, Site
from ssft.compiler.analysis.axes.result import (
    Axis,
    AxisAnalysis,
    DimensionLayout,
    Factor,
    Member,
    Pin,
)
from ssft.dialects._mlir import ir

Tree = tuple[tuple["int | Tree", ...], ...]
"""A layout over representatives of the forest: segments of factors."""


def summarize(
    builder: AxisBuilder,
    arguments: Sequence[tuple[str, Sequence[int]]],
    locate: Callable[[Site], str],
) -> AxisAnalysis:
    """Numbers the axes in the order in which `arguments` (name, nodes) show them.

    `locate` names the place of a claim.
    """
    forest = builder.forest
    members: dict[int, list[Member]] = {}
    trees = [[_tree(forest, node) for node in nodes] for _, nodes in arguments]
    for number, ((name, _), dims) in enumerate(zip(arguments, trees, strict=True)):
        for dim, tree in enumerate(dims):
            shape = _shape(forest, tree)
            for path, root in _occurrences(tree):
                text = f"{name}.{dim}{_place(path, tree, shape)}"
                members.setdefault(root, []).append(Member(number, dim, path, text))
    axes = {
        root: Axis(
            number,
            forest.size(root),
            _pins(forest, root, locate),
            tuple(found),
            _notes(forest, root),
        )
        for number, (root, found) in enumerate(members.items())
    }

    def lookup(value: ir.Value, dim: int) -> DimensionLayout:
        if not builder.known(value):
            raise KeyError(f"a value of type {value.type} is not one of the step's block")
        return _layout(_tree(forest, builder.dimensions(value)[dim]), internal_axis)

    def internal_axis(root: int) -> Axis:
        if root in axes:
            return axes[root]
        return Axis(-1 - root, forest.size(root), _pins(forest, root, lambda site: ""))

    return AxisAnalysis(
        tuple(axes.values()),
        tuple(tuple(_layout(tree, axes.__getitem__) for tree in dims) for dims in trees),
        dict(builder.unknown),
        lookup,
    )


def _tree(forest: AxisForest, node: int) -> Tree:
    def factor(root: int) -> int | Tree:
        return root if forest.is_variable(root) else _tree(forest, root)

    return tuple(tuple(factor(root) for root in segment) for segment in forest.segments([node]))


def _occurrences(tree: Tree) -> list[tuple[tuple[int, ...], int]]:
    found: list[tuple[tuple[int, ...], int]] = []
    for s, segment in enumerate(tree):
        for f, factor in enumerate(segment):
            if isinstance(factor, int):
                found.append(((s, f), factor))
            else:
                found += [((s, f, *path), root) for path, root in _occurrences(factor)]
    return found


def _layout(tree: Tree, axis: Callable[[int], Axis]) -> DimensionLayout:
    def factor(entry: int | Tree) -> Factor:
        return axis(entry) if isinstance(entry, int) else _layout(entry, axis)

    return DimensionLayout(tuple(tuple(factor(e) for e in segment) for segment in tree))


def _shape(forest: AxisForest, tree: Tree) -> str:
    return str(_layout(tree, lambda root: Axis(root, forest.size(root))))


def _place(path: tuple[int, ...], tree: Tree, shape: str) -> str:
    """Returns where in its dimension an axis stands; nothing where it is all of it."""
    steps = []
    while path:
        segment, factor, *rest = path
        steps += [f"segment {segment}"] * (len(tree) > 1)
        steps += [f"factor {factor}"] * (len(tree[segment]) > 1)
        inner = tree[segment][factor]
        tree = () if isinstance(inner, int) else inner
        path = tuple(rest)
    return f"[{', '.join(steps)} of {shape}]" if steps else ""


def _pins(forest: AxisForest, root: int, locate: Callable[[Site], str]) -> tuple[Pin, ...]:
    return tuple(
        Pin(reason, len(sites), locate(min(sites)))
        for reason, sites in sorted(forest.pin_sites(root).items())
    )


def _notes(forest: AxisForest, root: int) -> tuple[str, ...]:
    return tuple(f"{text} (x{count})" for text, count in sorted(forest.notes(root).items()))
