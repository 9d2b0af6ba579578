"""Choosing again while training: what a plan keeps of its recipe, and how the choice is repeated.

The step takes the rows and columns that train from index lists, which are arguments. A plan that
re-selects holds the method's name and numbers and what the method sees of the parameters, so that
the runtime can call the very method that chose first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ssft.compiler.diagnostics import UserError
from ssft.compiler.masks import Mask
from ssft.compiler.recipes.choice import Coupled
from ssft.compiler.recipes.parameters import Dimension, Factor, Parameter, simplified
from ssft.compiler.recipes.recipe import Recipe
from ssft.compiler.recipes.registry import find_method
from ssft.compiler.recipes.statistics import Statistics

KEYS = (
    *("method", "ratio", "seed", "ratios", "budget", "importance", "order", "combine", "avoid"),
    "block",
)
"""The recipe's keys that a later choice depends on."""


@dataclass(frozen=True)
class Selection:
    """How rows and columns are chosen again: every `every` steps, by `recipe`, of `parameters`.

    `measure` is how many batches the model is measured with before; 0 if the method needs no
    measurements.
    """

    every: int
    recipe: Recipe
    parameters: tuple[Parameter, ...]
    measure: int = 0

    def choose(self, number: int, statistics: Statistics | None = None) -> dict[str, Mask]:
        """The masks of choice `number`; 0 is the one that the plan was compiled with.

        Raises:
            UserError: the method needs `statistics`, and there are none.
        """
        choice = replace(self.recipe.choice(statistics), number=number)
        chosen = find_method(self.recipe.method)(self.parameters, choice)
        shapes = {parameter.name: parameter.shape for parameter in self.parameters}
        masks = {name: simplified(mask, shapes[name]) for name, mask in chosen.items()}
        return {name: mask for name, mask in masks.items() if mask is not None}

    def to_text(self) -> str:
        """The selection as JSON. What many parameters share is written once."""
        sets: dict[frozenset[str], int] = {}
        axes: dict[str, int] = {}
        described = [_to_plain(parameter, sets, axes) for parameter in self.parameters]
        recipe = self.recipe.model_dump(include=set(KEYS))
        # In the order of their numbers: dicts keep it.
        entries = {
            "every": self.every,
            "measure": self.measure,
            "recipe": recipe,
            "axes": list(axes),
            "sets": [sorted(names) for names in sets],
            "parameters": described,
        }
        return json.dumps(entries, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Selection:
        """Reads what `to_text` wrote; a `UserError` for anything else."""
        try:
            entries = json.loads(text)
            sets = [frozenset(map(str, names)) for names in entries["sets"]]
            axes = [str(axis) for axis in entries["axes"]]
            parameters = tuple(_from_plain(e, sets, axes) for e in entries["parameters"])
            every, measure = int(entries["every"]), int(entries["measure"])
            options = {key: entries["recipe"][key] for key in KEYS}
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"the plan's attribute 'ssft.selection' is damaged: {error}") from None
        return cls(every, Recipe.parse(options), parameters, measure)


def with_lists(masks: Mapping[str, Mask], coupled: Coupled) -> dict[str, Mask]:
    """`masks` with names of index lists instead of fixed indices.

    Dimensions whose indices were chosen together, because they are made of the same axes, share a
    list, which has the name of the first of them.
    """
    names: dict[object, str] = {}
    found = {}
    for name, mask in masks.items():
        sides: list[str | None] = []
        for dim, indices in enumerate((mask.rows, mask.columns)):
            if indices is None:
                sides.append(None)
                continue
            key, chosen = coupled.get((name, dim), (None, None))
            together: object = key if chosen == indices else (name, dim)
            sides.append(names.setdefault(together, f"{name}:{('rows', 'columns')[dim]}"))
        found[name] = replace(mask, row_list=sides[0], column_list=sides[1])
    return found


def check_reselects(recipe: Recipe, masks: Mapping[str, Mask]) -> None:
    """Raises a `UserError` unless what `recipe` chose can be chosen again by other index lists."""
    if recipe.budget == "global":
        raise UserError(
            "a global budget cannot be used with re-selection: how many units of an axis train "
            "is a part of the code",
            notes=["use --budget uniform"],
        )
    if any(mask.combine == "rectangles" for mask in masks.values()):
        raise UserError(
            f"method '{recipe.method}' chooses blocks, whose number differs from choice to choice",
            notes=["re-select with a method that chooses rows and columns, such as losia"],
        )
    if not any(True for mask in masks.values() for _ in mask.list_names()):
        raise UserError(
            f"method '{recipe.method}' chooses no rows or columns that could be chosen again",
            notes=["leave out --reselect"],
        )


def _to_plain(
    parameter: Parameter, sets: dict[frozenset[str], int], axes: dict[str, int]
) -> list[Any]:
    def factor(entry: Factor) -> list[Any]:
        return [axes.setdefault(entry.axis, len(axes)), entry.size, int(entry.free)]

    dimensions = [
        [
            [[factor(entry) for entry in segment] for segment in dimension.segments],
            sorted(dimension.uses),
            sets.setdefault(dimension.produced_by, len(sets)),
            sets.setdefault(dimension.consumed_by, len(sets)),
        ]
        for dimension in parameter.dimensions
    ]
    return [parameter.name, parameter.position, int(parameter.is_bias), dimensions]


def _from_plain(entry: list[Any], sets: list[frozenset[str]], axes: list[str]) -> Parameter:
    name, position, is_bias, described = entry
    dimensions = []
    for segments, uses, produced_by, consumed_by in described:
        factors = tuple(
            tuple(Factor(axes[axis], int(size), bool(free)) for axis, size, free in segment)
            for segment in segments
        )
        size = sum(_product(segment) for segment in factors)
        dimensions.append(
            Dimension(size, factors, frozenset(uses), sets[produced_by], sets[consumed_by])
        )
    return Parameter(str(name), tuple(dimensions), int(position), bool(is_bias))


def _product(segment: tuple[Factor, ...]) -> int:
    total = 1
    for factor in segment:
        total *= factor.size
    return total


def list_users(masks: Mapping[str, Mask]) -> Iterator[tuple[str, str, int]]:
    """Each use of an index list: its name, the parameter's name and the dimension."""
    for name, mask in masks.items():
        for dim, listed in mask.list_names():
            yield listed, name, dim
