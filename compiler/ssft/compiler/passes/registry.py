"""Finds passes by the names of their modules.

The flag of a pass is its module's name with dashes, so the registry knows every flag from a
directory listing and imports only the pass that is asked for. Modules whose name starts with an
underscore, and `base` and `registry`, hold no pass. Passes that live elsewhere, e.g. those of a
plug-in file or of a test, are added by `load_plugin`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import ssft.compiler.passes as package
from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass

_NOT_PASSES = {"base", "registry"}

_plugins: dict[str, type[Pass]] = {}


class RegistryError(Exception):
    """A module or class that breaks the rules; a bug of ours or of a plug-in's author."""


def pass_names() -> list[str]:
    """Returns the flags of all passes, sorted, without importing them."""
    modules = {info.name for info in pkgutil.iter_modules(package.__path__)}
    found = {name.replace("_", "-") for name in modules - _NOT_PASSES if not name.startswith("_")}
    return sorted(found | _plugins.keys())


def is_pass(flag: str) -> bool:
    """Whether one of our passes has this flag."""
    return flag in _plugins or flag in pass_names()


def load_pass(flag: str) -> type[Pass]:
    """Returns the pass with this flag, importing its module.

    Raises `UserError` for an unknown flag, with the nearest known ones as a note, and
    `RegistryError` if the module does not hold exactly one pass of this name.
    """
    if flag in _plugins:
        return _plugins[flag]
    if flag not in pass_names():
        raise UserError(f"unknown pass '{flag}'", notes=suggestions(flag, pass_names()))
    module = importlib.import_module(f"{package.__name__}.{flag.replace('-', '_')}")
    return _only_pass(module, flag)


def load_all() -> dict[str, type[Pass]]:
    """Imports every pass; returns them by flag, in the order of the flags."""
    return {flag: load_pass(flag) for flag in pass_names()}


def load_plugin(path: str | Path) -> list[type[Pass]]:
    """Registers every pass defined in a Python file outside the package; returns them.

    Raises `UserError` if the file cannot be imported or holds no pass, and `RegistryError` if one
    of its flags is taken.
    """
    path = Path(path)
    passes = _passes_in(_import_file(path))
    if not passes:
        raise UserError(f"there is no pass in '{path}'")
    for pass_ in passes:
        if is_pass(pass_.argument):
            raise RegistryError(
                f"{path}: {pass_.__name__} has the flag '{pass_.argument}', "
                f"which {load_pass(pass_.argument).__module__} has already"
            )
        _plugins[pass_.argument] = pass_
    return passes


def _import_file(path: Path) -> ModuleType:
    name = f"ssft_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"cannot load passes from '{path}'", notes=["it must be a Python file"])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"cannot load passes from '{path}': {reason}") from error
    return module


def suggestions(name: str, known: list[str]) -> list[str]:
    """Returns notes for an unknown `name`: near misses if there are any, and what is known."""
    close = difflib.get_close_matches(name, known, n=3)
    notes = [f"did you mean {' or '.join(repr(flag) for flag in close)}?"] if close else []
    return [*notes, "known are: " + (", ".join(known) or "none")]


def _only_pass(module: ModuleType, flag: str) -> type[Pass]:
    passes = _passes_in(module)
    names = ", ".join(pass_.__name__ for pass_ in passes) or "none"
    if len(passes) != 1:
        raise RegistryError(f"{module.__name__} must define one pass, but defines {names}")
    if passes[0].argument != flag:
        raise RegistryError(
            f"{module.__name__}.{names} has the flag '{passes[0].argument}', "
            f"but its module's name says '{flag}'"
        )
    return passes[0]


def _passes_in(module: ModuleType) -> list[type[Pass]]:
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Pass)
        and not inspect.isabstract(value)
        and value.__module__ == module.__name__
    ]
