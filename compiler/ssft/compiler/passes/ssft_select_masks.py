"""``ssft-select-masks``: decide which elements of which parameters train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.axes import Axis, DimensionLayout, analyze_axes
from ssft.compiler.analysis.linears import INPUT, OUTPUT, dimension_uses, is_only_added
from ssft.compiler.analysis.phases import forward_operations
from ssft.compiler.analysis.reductions import normalised_axes
from ssft.compiler.analysis.updates import update_groups
from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_attributes import mask_attribute
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.blocks import united
from ssft.compiler.recipes.explicit_masks import check_in_range, parse_mask
from ssft.compiler.recipes.parameters import (
    FULL,
    Dimension,
    Factor,
    Parameter,
    simplified,
)
from ssft.compiler.recipes.recipe import Recipe
from ssft.compiler.recipes.registry import find_method
from ssft.compiler.recipes.selection import Selection, check_reselects, with_lists
from ssft.dialects._mlir import ir

LISTS = ("train", "freeze", "masks", "ratios", "avoid")
"""Options that are lists, joined by ';'."""


@dataclass(frozen=True)
class SelectMasksPass(Pass):
    """Marks every trainable parameter as trained entirely, masked (``ssft.mask``), or frozen.

    Masks are index sets over dimensions 0 and 1 in original order. Nothing is rewritten: the
    update of a masked or frozen parameter stays dense until ``ssft-slice-updates``.

    With ``reselect`` what the method chose is only the first choice: masks name the index lists
    that hold it, and ``ssft.selection`` of the module says how to choose again.
    """

    argument: ClassVar[str] = "ssft-select-masks"

    method: str = field(default="full", metadata={"help": "selection method"})
    ratio: float = field(default=0.05, metadata={"help": "share of the units of an axis to train"})
    seed: int = field(default=0, metadata={"help": "seed of random choices"})
    train: str = field(
        default="", metadata={"help": "patterns of names to train entirely, joined by ';'"}
    )
    freeze: str = field(default="", metadata={"help": "patterns of names to freeze, joined by ';'"})
    masks: str = field(
        default="", metadata={"help": "explicit masks NAME:rows=0-3+9:columns=4, joined by ';'"}
    )
    ratios: str = field(
        default="", metadata={"help": "ratios of parameters PATTERN=RATIO, joined by ';'"}
    )
    budget: str = field(
        default="uniform",
        metadata={"help": "'uniform': each axis gets its share; 'global': all compete"},
    )
    importance: str = field(default="random", metadata={"help": "what makes a unit worth training"})
    order: str = field(
        default="largest", metadata={"help": "'largest' or 'smallest' importance trains"}
    )
    combine: str = field(
        default="union",
        metadata={"help": "'union' or 'intersection' of the rows and columns of method 'ssft'"},
    )
    avoid: str = field(
        default="", metadata={"help": "masks whose rows and columns are not chosen, joined by ';'"}
    )
    statistics: str = field(
        default="", metadata={"help": "file with measurements of the model, for importance"}
    )

    block: str = field(
        default="256x256", metadata={"help": "size of the blocks of method 'smt', ROWSxCOLUMNS"}
    )
    reselect: int = field(
        default=0, metadata={"help": "choose again every so many steps of training; 0: never"}
    )
    calibrate: int = field(
        default=0, metadata={"help": "batches to measure the model with before choosing again"}
    )

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> SelectMasksPass:
        """Returns the pass with the options of `recipe`."""
        options: dict[str, Any] = recipe.model_dump()
        options.update({key: ";".join(options[key]) for key in LISTS})
        return cls(**options)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Annotates the arguments of ``@step``."""
        step = step_ir.find_step(module)
        with module.context, step.location:
            try:
                recipe, parameters = self.recipe(), _parameters(step)
                masks = _choose(recipe, parameters)
            except UserError as error:
                context.error(step, error.message, *error.notes)
                return
            _annotate(step, masks, context)
            if recipe.reselect:
                measure = max(recipe.calibrate, 1) if recipe.statistics else 0
                again = Selection(recipe.reselect, recipe, tuple(parameters), measure)
                module.attributes["ssft.selection"] = ir.StringAttr.get(again.to_text())

    def recipe(self) -> Recipe:
        """Returns the recipe that the options say; a `UserError` names an option at fault."""
        options = asdict(self)
        lists = {key: _split(options[key]) for key in LISTS}
        return Recipe.parse(options | lists)


def _choose(recipe: Recipe, parameters: list[Parameter]) -> dict[str, Mask]:
    """Returns the masks of what trains.

    `Recipe.train` overrules the method, `Recipe.masks` overrules both, and `Recipe.freeze` all.
    """
    shapes = {p.name: tuple(d.size for d in p.dimensions) for p in parameters}
    choice = recipe.choice()
    for pattern, _ in choice.ratios:
        _matching(pattern, shapes, "ratios")
    for name in choice.avoid:
        _matching(name, shapes, "avoid")
    chosen = dict(find_method(recipe.method)(parameters, choice))
    by_method = set(chosen)
    for pattern in recipe.train:
        entirely = _matching(pattern, shapes, "train")
        chosen.update(dict.fromkeys(entirely, FULL))
        by_method.difference_update(entirely)
    explicit = _explicit(recipe, shapes)
    chosen.update(explicit)
    for pattern in recipe.freeze:
        for name in _matching(pattern, shapes, "freeze"):
            chosen.pop(name, None)
    found = {name: simplified(mask, shapes[name]) for name, mask in chosen.items()}
    masks = {name: mask for name, mask in found.items() if mask is not None}
    if recipe.reselect:
        moving = {n: masks[n] for n in shapes if n in masks and n in by_method - set(explicit)}
        moving = with_lists(moving, choice.coupled)
        check_reselects(recipe, moving)
        masks |= moving
    return masks


def _explicit(recipe: Recipe, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Mask]:
    """The masks that the recipe names; several of one parameter are united."""
    found: dict[str, list[Mask]] = {}
    for text in recipe.masks:
        pattern, mask = parse_mask(text)
        for name in _matching(pattern, shapes, "masks"):
            check_in_range(name, mask, shapes[name])
            found.setdefault(name, []).append(mask)
    return {
        name: masks[0] if len(masks) == 1 else united(masks, shapes[name])
        for name, masks in found.items()
    }


def _split(text: str) -> tuple[str, ...]:
    return tuple(item for item in text.split(";") if item)


def _matching(pattern: str, names: Iterable[str], key: str) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise UserError(
            f"'{pattern}' in '{key}' matches no trainable parameter",
            notes=[f"trainable parameters: {', '.join(names)}"],
        )
    return found


def _annotate(step: ir.Operation, masks: Mapping[str, Mask], context: PassContext) -> None:
    arguments = step_ir.argument_attributes(step)
    for group in update_groups(step):
        attributes = arguments[group.argument]
        attributes.pop("ssft.mask", None)
        mask = masks.get(group.name)
        if mask is None:
            attributes["ssft.role"] = ir.StringAttr.get("frozen")
            context.statistics["parameters frozen"] += 1
        elif mask == FULL:
            context.statistics["parameters trained entirely"] += 1
        else:
            attributes["ssft.mask"] = mask_attribute(mask)
            context.statistics["parameters masked"] += 1
    step_ir.set_signature(step, arguments, step_ir.result_attributes(step))


def _parameters(step: ir.Operation) -> list[Parameter]:
    """Describes the parameters that have an update, with the axes of their dimensions."""
    forward = forward_operations(step)
    axes = analyze_axes(step)
    groups = update_groups(step)
    uses = {group.argument: dimension_uses(step, group.argument, forward) for group in groups}
    layouts = {
        (group.argument, dim): axes.dimension(group.argument, dim)
        for group in groups
        for dim in range(len(uses[group.argument]))
    }
    names = {group.argument: group.name for group in groups}
    positions = _first_uses(step)
    channels = _Channels()
    for (argument, dim), layout in layouts.items():
        for _, axis in layout.axes():
            for use in uses[argument][dim]:
                channels.users.setdefault((axis.id, use), set()).add(names[argument])
    tied = normalised_axes(axes, forward)
    return [
        Parameter(
            group.name,
            tuple(
                _dimension(layouts[group.argument, dim], use, channels, tied)
                for dim, use in enumerate(uses[group.argument])
            ),
            positions[group.argument],
            is_only_added(step, group.argument, forward),
        )
        for group in groups
    ]


def _first_uses(step: ir.Operation) -> list[int]:
    """Where each argument is used first, as the number of an operation of the step; else -1."""
    positions = {op: number for number, op in enumerate(step_ir.operations(step))}
    return [
        min((positions.get(use.owner.operation, -1) for use in argument.uses), default=-1)
        for argument in step_ir.body(step).arguments
    ]


@dataclass
class _Channels:
    """Which parameters have an axis (by id) as input or output channels."""

    users: dict[tuple[int, str], set[str]] = field(default_factory=dict)

    def of(self, layout: DimensionLayout, use: str) -> list[set[str]]:
        """By axis of `layout`; of the free ones, where some are.

        A reshape does not keep a fixed axis's identity: heads that are tied to positions (dropout,
        ALiBi) go by another id on each side of the attention, and only the free head size tells
        that what one matrix produces is what the other consumes.
        """
        axes = [axis for _, axis in layout.axes()]
        free = [axis for axis in axes if axis.is_free]
        return [self.users.get((axis.id, use), set()) for axis in free or axes]


def _dimension(
    layout: DimensionLayout, uses: frozenset[str], channels: _Channels, tied: frozenset[int]
) -> Dimension:
    producers = channels.of(layout, OUTPUT)
    segments = tuple(
        tuple(_factor(factor, tied) for factor in segment) or (Factor("", 1, False),)
        for segment in layout.segments
    )
    return Dimension(
        layout.size,
        segments,
        uses,
        produced_by=frozenset().union(*producers) if all(producers) else frozenset(),
        consumed_by=frozenset().union(*channels.of(layout, INPUT)),
    )


def _factor(factor: Axis | DimensionLayout, tied: frozenset[int]) -> Factor:
    if isinstance(factor, Axis):
        return Factor(factor.name, factor.size, factor.is_free and factor.id not in tied)
    # A sum inside a product has no permutation of its own; its parts are permuted elsewhere.
    return Factor(str(factor), factor.size, False)
