"""``ssft-select-masks``: decide which elements of which parameters train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.axes import Axis, DimensionLayout, analyze_axes
from ssft.compiler.analysis.linears import INPUT, OUTPUT, dimension_uses
from ssft.compiler.analysis.phases import forward_operations
from ssft.compiler.analysis.reductions import normalised_axes
from ssft.compiler.analysis.updates import update_groups
from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_attributes import mask_attribute
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.explicit_masks import check_in_range, parse_mask
from ssft.compiler.recipes.parameters import FULL, Dimension, Draw, Factor, Parameter
from ssft.compiler.recipes.recipe import Recipe
from ssft.compiler.recipes.registry import find_method, method_names
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class SelectMasksPass(Pass):
    """Marks every trainable parameter as trained entirely, masked (``ssft.mask``), or frozen.

    Masks are index sets over dimensions 0 and 1 in original order. Nothing is rewritten: the
    update of a masked or frozen parameter stays dense until ``ssft-slice-updates``.
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

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> SelectMasksPass:
        """Returns the pass with the options of `recipe`."""
        lists = {key: ";".join(getattr(recipe, key)) for key in ("train", "freeze", "masks")}
        return cls(method=recipe.method, ratio=recipe.ratio, seed=recipe.seed, **lists)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Annotates the arguments of ``@step``."""
        step = step_ir.find_step(module)
        if self.method not in method_names():
            known = f"known methods: {', '.join(method_names())}"
            context.error(step, f"unknown selection method '{self.method}'", known)
            return
        with module.context, step.location:
            try:
                parameters = _parameters(step)
                masks = self._choose(parameters)
            except UserError as error:
                context.error(step, error.message, *error.notes)
                return
            _annotate(step, masks, context)

    def _choose(self, parameters: list[Parameter]) -> dict[str, Mask]:
        """Returns the masks of what trains; explicit masks and patterns overrule the method."""
        names = [parameter.name for parameter in parameters]
        masks = dict(find_method(self.method)(parameters, Draw(self.ratio, self.seed)))
        for pattern in _split(self.freeze):
            for name in _matching(pattern, names, "freeze"):
                masks.pop(name, None)
        for pattern in _split(self.train):
            masks.update(dict.fromkeys(_matching(pattern, names, "train"), FULL))
        for text in _split(self.masks):
            pattern, mask = parse_mask(text)
            for name in _matching(pattern, names, "masks"):
                shape = tuple(d.size for d in parameters[names.index(name)].dimensions)
                check_in_range(name, mask, shape)
                masks[name] = mask
        return {name: mask for name, mask in masks.items() if not _is_empty(mask)}


def _split(text: str) -> list[str]:
    return [item for item in text.split(";") if item]


def _matching(pattern: str, names: list[str], key: str) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise UserError(
            f"'{pattern}' in '{key}' matches no trainable parameter",
            notes=[f"trainable parameters: {', '.join(names)}"],
        )
    return found


def _is_empty(mask: Mask) -> bool:
    empty = [indices is not None and not indices for indices in (mask.rows, mask.columns)]
    return all(empty) if mask.combine == "union" else any(empty)


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
        )
        for group in groups
    ]


@dataclass
class _Channels:
    """Which parameters have an axis (by id) as input or output channels."""

    users: dict[tuple[int, str], set[str]] = field(default_factory=dict)

    def of(self, layout: DimensionLayout, use: str) -> list[set[str]]:
        return [self.users.get((axis.id, use), set()) for _, axis in layout.axes()]


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
