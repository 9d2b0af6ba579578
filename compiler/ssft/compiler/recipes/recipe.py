"""The recipe: which parts of which parameters train."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ssft.compiler.diagnostics import UserError
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.explicit_masks import parse_mask
from ssft.compiler.recipes.importance import Importance
from ssft.compiler.recipes.registry import method_names
from ssft.compiler.recipes.statistics import Statistics


class Recipe(BaseModel):
    """Named choice of masks, e.g. ``Recipe("s2ft", ratio=0.05, seed=0)``.

    The same keys can stand in a TOML file (`Recipe.from_file`) and on ``ssftc``'s command line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field("full", description="how masks are chosen")
    ratio: float = Field(0.05, ge=0, le=1, description="share of the units of an axis that trains")
    seed: int = Field(0, ge=0, description="seed of random choices")
    ratios: tuple[str, ...] = Field(
        (), description="ratios of parameters by pattern, e.g. '*.down_proj.weight=0.02'"
    )
    budget: Literal["uniform", "global"] = Field(
        "uniform", description="each axis gets its share, or all compete and some may get none"
    )
    importance: Importance = Field("random", description="what makes a unit worth training")
    order: Literal["largest", "smallest"] = Field(
        "largest", description="which end of the importance trains"
    )
    combine: Literal["union", "intersection"] = Field(
        "union", description="whether rows and columns of method 'ssft' are joined or crossed"
    )
    avoid: tuple[str, ...] = Field(
        (), description="masks whose rows and columns may not be chosen, as those of 'masks'"
    )
    block: str = Field("256x256", description="size of the blocks of method 'smt', ROWSxCOLUMNS")
    reselect: int = Field(
        0, ge=0, description="choose rows and columns again every so many steps; 0: never"
    )
    calibrate: int = Field(0, ge=0, description="batches to measure the model with")
    statistics: str = Field("", description="file of measurements to use instead")
    train: tuple[str, ...] = Field(
        (), description="patterns of parameter names that train entirely, whatever the method says"
    )
    freeze: tuple[str, ...] = Field(
        (), description="patterns of parameter names that never train, whatever else is said"
    )
    masks: tuple[str, ...] = Field(
        (), description="explicit masks, e.g. 'fc1.weight:rows=0-3+9:columns=4:union'"
    )

    def __init__(self, method: str | None = None, /, **options: Any) -> None:
        if method is not None:
            options["method"] = method
        super().__init__(**options)

    @field_validator("block")
    @classmethod
    def _two_sizes(cls, block: str) -> str:
        _block(block)
        return block

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in method_names():
            raise ValueError(f"unknown method '{method}' (known: {', '.join(method_names())})")
        return method

    def choice(self, statistics: Statistics | None = None) -> Choice:
        """What a method gets to see of the recipe; a `UserError` names a pattern at fault."""
        if statistics is None and self.statistics:
            statistics = Statistics.load(self.statistics)
        return Choice(
            self.ratio,
            self.seed,
            self.importance,
            self.order,
            self.budget,
            tuple(_ratio(text) for text in self.ratios),
            dict(parse_mask(text) for text in self.avoid),
            statistics,
            self.combine,
            _block(self.block),
        )

    @classmethod
    def parse(cls, options: dict[str, Any], where: str | None = None) -> Recipe:
        """Builds a recipe from user input; a `UserError` names the key at fault."""
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "recipe"
            message = first["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            raise UserError(
                f"recipe key '{key}': {message}",
                where,
                [f"the keys are {', '.join(cls.model_fields)}"],
                exit_code=1 if where else 2,
            ) from None

    def changed(self, options: dict[str, Any]) -> Recipe:
        """Returns the recipe with some keys replaced."""
        return Recipe.parse(self.model_dump() | options)

    @classmethod
    def from_file(cls, path: str | Path) -> Recipe:
        """Reads a TOML file with the recipe's keys at top level."""
        try:
            options = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"cannot read recipe file '{path}': {error.strerror}",
                notes=[f"or name a method: {', '.join(method_names())}"],
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"not a TOML file: {error}", str(path)) from None
        return cls.parse(options, str(path))


def _ratio(text: str) -> tuple[str, float]:
    pattern, equals, value = text.rpartition("=")
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if not (pattern and equals and 0 <= ratio <= 1):
        raise UserError(
            f"ratio '{text}' is not PATTERN=RATIO with a ratio from 0 to 1",
            notes=["e.g. '*.down_proj.weight=0.02'"],
        )
    return pattern, ratio


def _block(text: str) -> tuple[int, int]:
    sizes = text.split("x")
    if len(sizes) != 2 or not all(size.isdecimal() and int(size) for size in sizes):
        raise ValueError(f"block size '{text}' is not ROWSxCOLUMNS, e.g. '256x256'")
    return int(sizes[0]), int(sizes[1])
