"""Finds the selection methods: one module each in ``recipes/methods``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.importance import Importance
from ssft.compiler.recipes.parameters import Parameter

Method = Callable[[Sequence[Parameter], Choice], Mapping[str, Mask]]
"""Maps parameters to masks; parameters that are not in the result are frozen."""


@cache
def method_names() -> tuple[str, ...]:
    """Returns the names of all methods, sorted."""
    from ssft.compiler.recipes import methods

    return tuple(sorted(module.name for module in pkgutil.iter_modules(methods.__path__)))


def find_method(name: str) -> Method:
    """Returns the ``choose`` function of method `name`."""
    return importlib.import_module(f"ssft.compiler.recipes.methods.{name}").choose


def importance_of(name: str, importance: Importance) -> Importance:
    """What method `name` ranks by if the recipe says `importance`; most have no other default."""
    module = importlib.import_module(f"ssft.compiler.recipes.methods.{name}")
    return getattr(module, "IMPORTANCE", importance) if importance == "random" else importance
