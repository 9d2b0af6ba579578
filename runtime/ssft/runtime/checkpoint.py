"""Checkpoints: what training changed, in one safetensors file that is written whole or not at all.

Only what a step updates is stored: parameters that train, optimizer states and the step counter,
as the plan lays them out, with the learning rate and the seed. The hash of the plan is stored too,
because the layout means nothing to another plan.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.weights_file import same_shape

FORMAT = "ssft-checkpoint-1"
STORED_ROLES = ("trainable", "state", "hyper", "step", "seed")


def entry_name(argument: ArgumentInfo) -> str:
    """The name of an argument in a checkpoint; the number keeps slices of one state apart."""
    kind = f"{argument.role}.{argument.state}" if argument.state else argument.role
    return f"{argument.index}.{kind}.{argument.name}"


def _is_stored(argument: ArgumentInfo) -> bool:
    # The forward pass may write buffers; they are small, so all are stored.
    return argument.role in STORED_ROLES or argument.buffer


def save_checkpoint(
    path: str | os.PathLike[str],
    arguments: Sequence[ArgumentInfo],
    arrays: Sequence[np.ndarray],
    plan_hash: str,
) -> None:
    """Writes a checkpoint; if it cannot be written, an older one at `path` stays as it was."""
    stored = {
        entry_name(argument): Array(argument.dtype, arrays[argument.index])
        for argument in arguments
        if _is_stored(argument)
    }
    write_safetensors(path, stored, {"format": FORMAT, "plan": plan_hash})


def load_checkpoint(
    path: str | os.PathLike[str],
    arguments: Sequence[ArgumentInfo],
    arrays: Sequence[np.ndarray],
    plan_hash: str,
) -> None:
    """Copies a checkpoint into `arrays`, all of it or, if anything does not fit, nothing."""
    file = read_safetensors(path)
    if file.metadata.get("format") != FORMAT:
        raise UserError(f"'{os.fspath(path)}' is not a checkpoint of this version")
    if file.metadata.get("plan") != plan_hash:
        raise UserError(
            f"checkpoint '{os.fspath(path)}' belongs to another plan",
            notes=["a checkpoint can be loaded only by the plan that it was saved with"],
        )
    wanted = {entry_name(a): a for a in arguments if _is_stored(a)}
    _check_entries(path, wanted, file.arrays)
    for name, argument in wanted.items():
        np.copyto(arrays[argument.index], file.arrays[name].data.reshape(argument.shape))


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
