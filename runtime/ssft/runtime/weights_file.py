"""The weights of a plan, and others in their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import sha256_of
from ssft.compiler.permutation import Orders, permute
from ssft.compiler.plan_schema import StepSignature, WeightsFile
from ssft.compiler.sidecars import is_file_name
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array


def same_shape(stored: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the shapes agree; a scalar may be stored as one element in one dimension."""
    return stored == wanted or (wanted == () and stored == (1,))


def load_weights(plan: Path, signature: StepSignature) -> Mapping[str, Array]:
    """The parameters of the plan at `plan`, from the sidecar that it names.

    Raises:
        UserError: the plan has no weights, or the sidecar is missing or not the one that belongs
            to the plan.
    """
    weights = signature.weights
    if weights is None:
        raise UserError(
            f"plan '{plan}' was compiled without weights, so it cannot run",
            notes=["compile it without '--abstract'"],
        )
    return read_safetensors(_checked(plan, weights, "weights")).arrays


def weights_in_original_layout(
    path: str | os.PathLike[str], signature: StepSignature, orders: Orders
) -> dict[int, np.ndarray]:
    """Parameters and buffers from a file in the model's names and layout, as the plan stores them.

    The result is by number of the argument; `orders` are the plan's.

    Raises:
        UserError: the file lacks one of them, or one has another type.
    """
    arrays = read_safetensors(path).arrays
    found = {}
    for argument in signature.parameters:
        names = [name for name in (argument.name, *argument.aliases) if name in arrays]
        if not names:
            raise UserError(
                f"'{os.fspath(path)}' lacks '{argument.name}'",
                notes=["it must hold what the plan has, in the model's names: ssft-run --save"],
            )
        array = arrays[names[0]]
        if array.dtype != argument.dtype or not same_shape(array.data.shape, argument.shape):
            raise UserError(
                f"'{names[0]}' of '{os.fspath(path)}' is {list(array.data.shape)} {array.dtype}, "
                f"but the plan wants {list(argument.shape)} {argument.dtype}"
            )
        data = array.data.reshape(argument.shape)
        layout = argument.permuted
        found[argument.index] = data if layout is None else permute(data, layout, orders)
    return found


def load_measuring_step(plan: Path, signature: StepSignature) -> str:
    """The text of the step that measures the model of the plan at `plan`.

    Raises:
        UserError: the plan names none, or it is missing or not the one that belongs to the plan.
    """
    if signature.measure is None:
        raise UserError(
            f"plan '{plan}' has no measuring step", notes=["compile it with --calibrate STEPS"]
        )
    return _checked(plan, signature.measure, "measuring step").read_text(encoding="utf-8")


def _checked(plan: Path, named: WeightsFile, what: str) -> Path:
    """The file that a plan names, which must be the very one."""
    if not is_file_name(named.file):
        raise UserError(
            f"plan '{plan}' names the {what} file '{named.file}', which is not a file name"
        )
    path = plan.parent / named.file
    if not path.is_file():
        raise UserError(
            f"the {what} '{path}' of plan '{plan}' {'are' if what == 'weights' else 'is'} missing",
            notes=["keep the files together when moving a plan"],
        )
    if sha256_of(path) != named.sha256:
        raise UserError(
            f"'{path}' does not hold the {what} that plan '{plan}' was compiled with",
            notes=["its sha256 differs from the one in the plan; compile the model again"],
        )
    return path
