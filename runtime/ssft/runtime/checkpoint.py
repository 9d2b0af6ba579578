"""Checkpoints: what training changed, in one safetensors file that is written whole or not at all.

Only what a step updates is stored: parameters that train, optimizer states and the step counter,
as the plan lays them out, with the learning rate and the seed; and all choices of what trains,
where index lists hold them. Hashes of the plan are stored too, because the layout means nothing to
another plan.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.index_lists import checked_list, with_complements
from ssft.runtime.plan_text import PlanIdentity
from ssft.runtime.weights_file import same_shape

FORMAT = "ssft-checkpoint-1"
STORED_ROLES = ("trainable", "state", "hyper", "step", "seed")
_HISTORY = "history."
_FILE, _STEP = "plan", "step"
"""Hashes of the plan: of its text, and of what it says (`PlanIdentity`)."""


def entry_name(argument: ArgumentInfo) -> str:
    """The name of an argument in a checkpoint; the number keeps slices of one state apart."""
    kind = f"{argument.role}.{argument.state}" if argument.state else argument.role
    return f"{argument.index}.{kind}.{argument.name}"


def _is_stored(argument: ArgumentInfo) -> bool:
    # The forward pass may write buffers; they are small, so all are stored.
    return argument.role in STORED_ROLES or argument.buffer


def save_checkpoint(
    path: str | os.PathLike[str],
    signature: StepSignature,
    arrays: Sequence[np.ndarray],
    plan: PlanIdentity,
    history: Sequence[Mapping[str, np.ndarray]],
) -> None:
    """Writes a checkpoint; if it cannot be written, an older one at `path` stays as it was."""
    stored = {
        entry_name(argument): Array(argument.dtype, arrays[argument.index])
        for argument in signature.arguments
        if _is_stored(argument)
    }
    for name in history[-1]:
        choices = np.stack([lists[name] for lists in history])
        stored[_HISTORY + name] = Array("i64", choices)
    write_safetensors(path, stored, {"format": FORMAT, _FILE: plan.file, _STEP: plan.step})


def load_checkpoint(
    path: str | os.PathLike[str],
    signature: StepSignature,
    arrays: Sequence[np.ndarray],
    plan: PlanIdentity,
) -> list[dict[str, np.ndarray]]:
    """Copies a checkpoint into `arrays`, all of it or, if anything does not fit, nothing.

    Returns all choices of what trains, the last one being the current one.
    """
    file = read_safetensors(path)
    if file.metadata.get("format") != FORMAT:
        raise UserError(f"'{os.fspath(path)}' is not a checkpoint of this version")
    if not _belongs_to(plan, file.metadata):
        notes = ["a checkpoint can be loaded only by the plan that it was saved with"]
        if _STEP not in file.metadata:
            notes.append("one of an earlier version only by the very file, byte for byte")
        raise UserError(f"checkpoint '{os.fspath(path)}' belongs to another plan", notes=notes)
    wanted = {entry_name(a): a for a in signature.arguments if _is_stored(a)}
    _check_entries(path, wanted, file.arrays)
    lists = {argument.name: argument for argument in signature.with_role("index")}
    history = _history(path, lists, file.arrays)
    for name, argument in wanted.items():
        np.copyto(arrays[argument.index], file.arrays[name].data.reshape(argument.shape))
    for name, indices in with_complements(lists, history[-1]).items():
        np.copyto(arrays[lists[name].index], indices)
    return history


def _belongs_to(plan: PlanIdentity, metadata: Mapping[str, str]) -> bool:
    # The text is compared first: it needs no parsing, and does not depend on how MLIR prints.
    if metadata.get(_FILE) == plan.file:
        return True
    return _STEP in metadata and metadata[_STEP] == plan.step


def _history(
    path: str | os.PathLike[str],
    lists: Mapping[str, ArgumentInfo],
    found: Mapping[str, Array],
) -> list[dict[str, np.ndarray]]:
    """The choices in a checkpoint. The code that uses indices checks none, so this does."""
    chosen = {name: a for name, a in lists.items() if a.complement is None}
    tables: dict[str, np.ndarray] = {}
    for name, argument in chosen.items():
        table = found.get(_HISTORY + name)
        if table is None or table.data.ndim != 2 or not len(table.data):
            raise UserError(f"checkpoint '{os.fspath(path)}' lacks the choices of '{name}'")
        tables[name] = np.stack([checked_list(argument, row) for row in table.data])
    if len({len(table) for table in tables.values()}) > 1:
        raise UserError(f"checkpoint '{os.fspath(path)}' has choices of some index lists only")
    count = len(next(iter(tables.values()), [()]))
    return [{name: table[i] for name, table in tables.items()} for i in range(count)]


def _check_entries(
    path: str | os.PathLike[str],
    wanted: Mapping[str, ArgumentInfo],
    found: Mapping[str, Array],
) -> None:
    for name, argument in wanted.items():
        entry = found.get(name)
        fits = entry is not None and entry.dtype == argument.dtype
        if not fits or entry is None or not same_shape(entry.data.shape, argument.shape):
            raise UserError(f"checkpoint '{os.fspath(path)}' lacks '{name}', or its type differs")
