"""Index lists of a running step: which rows and columns train, and changing it between steps.

Nothing is compiled: a choice is written into the step's arguments, and the moments are moved. An
element that trains before and after a choice keeps its moments; one that begins to train starts
with zeros. The step counter, and with it Adam's bias correction, goes on. Weights stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.masks import Lists, Mask, Tile
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature

Array = np.ndarray


class IndexLists:
    """The index lists of a session.

    Args:
        signature: the plan's.
        arrays: the memory of the step's arguments; what a choice changes is written here.
        history: choices made before, the current one last; default: what `arrays` hold.

    `history` has one entry per choice: the contents of all lists but complements, by name.
    """

    def __init__(
        self,
        signature: StepSignature,
        arrays: Sequence[Array],
        history: Sequence[Mapping[str, Array]] | None = None,
    ) -> None:
        self._plan, self._arrays = signature, arrays
        self._arguments = {argument.name: argument for argument in signature.with_role("index")}
        held = {name: arrays[a.index].copy() for name, a in self._arguments.items()}
        self._lists = with_complements(self._arguments, self._chosen(held))
        self.history = list(history or [self._chosen(held)])
        self._signature: StepSignature | None = None

    @property
    def signature(self) -> StepSignature:
        """The plan's signature with the masks and tiles of the current choice."""
        if self._signature is None:
            self._signature = self._plan.selected(self._lists) if self._lists else self._plan
        return self._signature

    def choose(self, masks: Mapping[str, Mask]) -> None:
        """Makes `masks` train from now on; see `lists_of_masks` for what may differ."""
        new = lists_of_masks(self._plan, masks)
        move_states(self._plan, self._arrays, self._lists, new)
        for name, indices in new.items():
            self._arrays[self._arguments[name].index][...] = indices
        self._lists = new
        self._signature = None
        self.history.append(self._chosen(new))

    def _chosen(self, lists: Mapping[str, Array]) -> dict[str, Array]:
        return {n: lists[n] for n, a in self._arguments.items() if a.complement is None}


def checked_list(argument: ArgumentInfo, indices: Sequence[int] | Array) -> Array:
    """`indices` as the contents of an index list; the code that uses them checks nothing.

    Raises:
        UserError: they do not fit it.
    """
    found = np.asarray(indices)
    low, high = argument.range or (0, 0)
    inside = found.size == 0 or (found.min() >= low and found.max() < high)
    if found.shape != argument.shape or not np.issubdtype(found.dtype, np.integer) or not inside:
        raise UserError(
            f"index list '{argument.name}' holds {argument.elements} indices from {low} to "
            f"{high - 1}, and not what it was given"
        )
    if np.unique(found).size != found.size:
        raise UserError(f"an index repeats in index list '{argument.name}'")
    return found.astype(np.int64)


def lists_of_masks(signature: StepSignature, masks: Mapping[str, Mask]) -> dict[str, Array]:
    """The contents of all index lists of a plan that make `masks` train.

    Raises:
        UserError: a mask is missing, differs from the plan's in more than indices, or two
            parameters that share a list do not agree.
    """
    arguments = {argument.name: argument for argument in signature.with_role("index")}
    found: dict[str, Array] = {}
    for parameter in signature.with_role("trainable"):
        if parameter.mask is None:
            continue
        for dim, name in parameter.mask.list_names():
            mask = masks.get(parameter.name)
            indices = None if mask is None else (mask.rows, mask.columns)[dim]
            if mask is None or indices is None or mask.combine != parameter.mask.combine:
                raise UserError(
                    f"there is no choice of {('rows', 'columns')[dim]} for '{parameter.name}'",
                    notes=["a choice can change indices, and nothing else of a mask"],
                )
            chosen = checked_list(arguments[name], indices)
            if not np.array_equal(found.setdefault(name, chosen), chosen):
                raise UserError(
                    f"'{parameter.name}' shares index list '{name}', but was to get other indices",
                    notes=["parameters that share a list train the same indices of their axis"],
                )
    return with_complements(arguments, found)


def with_complements(
    arguments: Mapping[str, ArgumentInfo], lists: Mapping[str, Array]
) -> dict[str, Array]:
    """`lists`, and those that hold what another one does not."""
    found = dict(lists)
    for name, argument in arguments.items():
        if argument.complement is not None:
            rest = np.ones((argument.range or (0, 0))[1], bool)
            rest[found[argument.complement]] = False
            found[name] = checked_list(argument, np.flatnonzero(rest))
    return found


def move_states(
    signature: StepSignature,
    arrays: Sequence[Array],
    old: Mapping[str, Array],
    new: Mapping[str, Array],
) -> None:
    """Rearranges the optimizer states in `arrays` from index lists `old` to `new`."""
    shapes = {a.name: a.shape for a in signature.with_role("trainable")}
    groups: dict[tuple[str, str | None], list[ArgumentInfo]] = {}
    for state in signature.with_role("state"):
        if state.tile is not None and (state.tile.row_list or state.tile.column_list):
            groups.setdefault((state.name, state.state), []).append(state)
    for (name, _), states in groups.items():
        before = [(_sides(state, old), arrays[state.index].copy()) for state in states]
        for state in states:
            target, sides = arrays[state.index], _sides(state, new)
            target[...] = 0
            for held, values in before:
                _copy_common(held, values, sides, target, shapes[name])


def _sides(state: ArgumentInfo, lists: Mapping[str, Array]) -> list[Array | None]:
    """The rows and the columns that a state holds; None for all."""
    tile = state.tile or Tile()
    return [
        lists[name] if name is not None else None if side is None else np.asarray(side, np.int64)
        for side, name in tile.sides
    ]


def _copy_common(
    old: Sequence[Array | None],
    source: Array,
    new: Sequence[Array | None],
    target: Array,
    shape: tuple[int, ...],
) -> None:
    """Copies what both slices of a parameter of `shape` hold."""
    common = [_common(a, b, size) for a, b, size in zip(old, new, shape, strict=False)]
    if all(len(positions) for positions, _ in common):
        target[np.ix_(*[b for _, b in common])] = source[np.ix_(*[a for a, _ in common])]


def _common(old: Array | None, new: Array | None, size: int) -> tuple[Array, Array]:
    """Where the indices that both lists hold are in the first, and in the second."""
    if old is None and new is None:
        return np.arange(size), np.arange(size)
    sides = [np.arange(size) if side is None else side for side in (old, new)]
    _, first, second = np.intersect1d(*sides, assume_unique=True, return_indices=True)
    return first, second


def ever_trained(
    argument: ArgumentInfo, history: Iterable[Lists]
) -> list[tuple[Array | None, Array | None]]:
    """The disjoint rectangles of a parameter that trained under one of the choices in `history`."""
    from ssft.compiler.rectangles import rectangles

    mask = argument.mask or Mask()
    if not any(True for _ in mask.list_names()):
        return [
            tuple(None if side is None else np.asarray(side, np.int64) for side, _ in tile.sides)  # type: ignore[misc]
            for tile in mask.tiles(argument.shape)
        ]
    rows, columns = (*argument.shape, 1)[:2]
    marked = np.zeros((rows, columns), bool)
    for lists in history:
        for tile in mask.selected(lists).tiles(argument.shape):
            sides = [
                np.arange(size) if side is None else np.asarray(side, np.int64)
                for (side, _), size in zip(tile.sides, (rows, columns), strict=True)
            ]
            marked[np.ix_(*sides)] = True
    found = []
    for chosen_rows, chosen_columns in rectangles(marked):
        all_columns = len(argument.shape) < 2 or len(chosen_columns) == columns
        found.append(
            (
                None if len(chosen_rows) == rows else chosen_rows,
                None if all_columns else chosen_columns,
            )
        )
    return found
