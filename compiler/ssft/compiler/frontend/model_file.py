"""Runs the user's model file and finds ``model``, ``batch``, ``loss`` and ``optimizer`` in it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.compiler.frontend.errors import from_exception

_MODULE_NAME = "ssft_model_file"


@dataclass(frozen=True)
class ModelDefinition:
    """What a model file defines.

    `path` is absolute, `source` as it was given. `model()` returns the module, `batch()` the
    example batch; `loss(outputs, batch)`, `optimizer(parameters)` and `max_grad_norm` are None if
    the file leaves them out.
    """

    path: Path
    source: str
    model: Callable[[], Any]
    batch: Callable[[], Any]
    loss: Callable[..., Any] | None = None
    optimizer: Callable[..., Any] | None = None
    max_grad_norm: float | None = None

    def call(self, name: str, *, abstract: bool = False) -> Any:
        """Calls ``model`` or ``batch``; an exception in it becomes a `UserError`.

        `abstract` says that it runs on tensors without data, which may be why it fails.
        """
        try:
            return getattr(self, name)()
        except UserError:
            raise
        except Exception as error:
            notes = ["tensors have no data here (--abstract): values cannot be loaded or read"]
            raise from_exception(error, f"{name}()", notes if abstract else []) from error

    @contextmanager
    def running(self) -> Iterator[None]:
        """Lets the file's functions import its neighbours, as ``python model.py`` would."""
        with _import_path(self.path.parent):
            yield


def load_model_file(path: str | os.PathLike[str]) -> ModelDefinition:
    """Executes the Python file at `path` and returns what it defines.

    The file is the user's own program and runs with all rights. Raises `UserError` if it cannot be
    read, raises an exception, or lacks ``model()`` or ``batch()``.
    """
    source = os.fspath(path)
    file = Path(path).resolve()
    if not file.is_file():
        raise UserError(f"there is no model file {source!r}")
    module = _execute(file)
    functions = {name: _function(module, file, name) for name in ("model", "batch")}
    optional = {
        name: _function(module, file, name)
        for name in ("loss", "optimizer")
        if getattr(module, name, None) is not None
    }
    limit = getattr(module, "max_grad_norm", None)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float))):
        raise UserError(f"max_grad_norm is {limit!r}, not a number", SourceLocation(str(file)))
    return ModelDefinition(file, source, **functions, **optional, max_grad_norm=limit)


def _execute(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE_NAME, file)
    if spec is None or spec.loader is None:
        raise UserError(f"{file.name} is no Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    # Classes defined in the file look their module up by name (dataclasses, pickling).
    sys.modules[_MODULE_NAME] = module
    try:
        with _import_path(file.parent):
            spec.loader.exec_module(module)
    except UserError:
        raise
    except SyntaxError as error:
        where = SourceLocation(error.filename or str(file), error.lineno or 0, error.offset or 0)
        raise UserError(f"syntax error: {error.msg}", where) from error
    except Exception as error:
        raise from_exception(error, "running the model file") from error
    return module


def _function(module: ModuleType, file: Path, name: str) -> Callable[..., Any]:
    value = getattr(module, name, None)
    if value is None:
        raise UserError(
            f"the model file does not define {name}()",
            SourceLocation(str(file)),
            [
                "it must define model(), which returns a torch.nn.Module, and batch(), which "
                "returns a mapping of example tensors",
                "loss(outputs, batch), optimizer(parameters) and max_grad_norm are optional",
            ],
        )
    if not callable(value):
        raise UserError(
            f"{name} is {type(value).__name__}, not a function", SourceLocation(str(file))
        )
    return value


@contextmanager
def _import_path(directory: Path) -> Iterator[None]:
    entry = str(directory)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
