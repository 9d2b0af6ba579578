"""Where batches come from: arrays in a file, or a Python data module."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo
from ssft.compiler.tensor_files import read_safetensors

Batch = Mapping[str, Any]

_FORMATS = "give an .npz or .safetensors file of arrays, or a .py file that defines batches()"


def open_batches(
    source: str | os.PathLike[str],
    inputs: tuple[ArgumentInfo, ...],
    *,
    split: str = "train",
    seed: int = 0,
) -> Iterator[Batch]:
    """Returns an iterator over batches for the plan's `inputs`.

    ``.npz`` and ``.safetensors`` files hold one array per input whose first dimension is a multiple
    of the plan's; it is cut into batches in order, for ever if `split` is ``"train"``. A ``.py``
    file defines ``batches(split, seed)`` (both optional) yielding mappings.

    Raises:
        UserError: the file cannot be read, or its arrays do not fit the plan.
    """
    path = Path(source)
    if path.suffix == ".py":
        return _module_batches(path, split, seed)
    if path.suffix == ".npz":
        arrays = _read_npz(path)
    elif path.suffix == ".safetensors":
        arrays = {name: array.data for name, array in read_safetensors(path).arrays.items()}
    else:
        raise UserError(f"cannot tell what kind of data '{path}' is", notes=[_FORMATS])
    return _cut(arrays, inputs, str(path), forever=split == "train")


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        # allow_pickle stays off: data from elsewhere is data, never code.
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise UserError(f"cannot read data '{path}': {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"'{path}' is not an .npz file of plain arrays: {error}") from None


def _cut(
    arrays: Mapping[str, np.ndarray], inputs: tuple[ArgumentInfo, ...], where: str, *, forever: bool
) -> Iterator[Batch]:
    counts = {}
    for argument in inputs:
        if argument.name not in arrays:
            names = ", ".join(sorted(arrays)) or "nothing"
            raise UserError(f"the data has no array '{argument.name}'", where, [f"it has {names}"])
        array = arrays[argument.name]
        size = argument.shape[0] if argument.shape else 1
        fits = array.ndim == len(argument.shape) and array.shape[1:] == argument.shape[1:]
        if not fits or (argument.shape and (array.shape[0] < size or array.shape[0] % size)):
            raise UserError(
                f"array '{argument.name}' has shape {list(array.shape)}, but the plan takes "
                f"batches of {list(argument.shape)}",
                where,
                ["the first dimension must be a multiple of the plan's, the others equal to it"],
            )
        counts[argument.name] = array.shape[0] // size if argument.shape else 1
    length = max(counts.values(), default=1)
    uneven = [name for name, count in counts.items() if count not in (1, length)]
    if uneven:
        raise UserError(f"array '{uneven[0]}' holds another number of batches than others", where)

    def generate() -> Iterator[Batch]:
        while True:
            for number in range(length):
                yield {a.name: _part(arrays[a.name], a, number, counts[a.name]) for a in inputs}
            if not forever:
                return

    return generate()


def _part(array: np.ndarray, argument: ArgumentInfo, number: int, count: int) -> np.ndarray:
    if not argument.shape:
        return array
    start = argument.shape[0] * (number if count > 1 else 0)
    return array[start : start + argument.shape[0]]


def _module_batches(path: Path, split: str, seed: int) -> Iterator[Batch]:
    function = _load_function(path)
    accepted = inspect.signature(function).parameters
    options = {"split": split, "seed": seed}
    try:
        batches = function(**{key: value for key, value in options.items() if key in accepted})
        for batch in batches:
            if not isinstance(batch, Mapping):
                raise UserError(
                    f"batches() yielded {type(batch).__name__}, not a mapping", str(path)
                )
            yield batch
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"batches() raised {type(error).__name__}: {error}", str(path)) from error


def _load_function(path: Path) -> Callable[..., Any]:
    if not path.is_file():
        raise UserError(f"there is no data module '{path}'", notes=[_FORMATS])
    spec = importlib.util.spec_from_file_location("ssft_data_module", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        message = f"the data module raised {type(error).__name__}: {error}"
        raise UserError(message, str(path)) from error
    finally:
        sys.path.pop(0)
    function = getattr(module, "batches", None)
    if not callable(function):
        raise UserError(
            "the data module does not define batches()",
            str(path),
            ["define batches(split, seed), a generator of mappings from input names to arrays"],
        )
    return function
