"""Tracing a model of many equal layers with few of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import Tensor

from ssft.compiler.analysis.step import argument_attributes, find_step, text
from ssft.compiler.analysis.step_code import StepCode
from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.layers.forward import RepeatedWeights, ShortForward, shorten
from ssft.compiler.frontend.layers.module import lengthen
from ssft.compiler.frontend.signature import Argument
from ssft.compiler.frontend.step import StepFunction, StepValues
from ssft.compiler.repeats import SequenceBuilder, UnevenError
from ssft.dialects._mlir import ir

LEAST = 12
"""From so many repetitions on, tracing a few of them twice is cheaper than tracing all."""

KEPT = 5
"""The first two and the last two may differ from the others: values enter and leave there."""

T = TypeVar("T")
Lower = Callable[[StepFunction, StepValues[Tensor]], ir.Module]


@dataclass(frozen=True)
class _Short:
    """The step with fewer repetitions."""

    step: StepFunction
    example: StepValues[Tensor]
    weights: tuple[RepeatedWeights, ...]


def capture_by_layers(
    step: StepFunction, example: StepValues[Tensor], lower: Lower
) -> ir.Module | None:
    """Returns the module of `step` at stage ``linalg``, or None if it must be traced whole.

    `lower` traces a step and lowers it, all in one context. The step is traced with `KEPT`
    repetitions, and with one less: what follows from the one for the other must be what the other
    trace says, or nothing follows.
    """
    short = _shortened(step, example, KEPT)
    fewer = _shortened(step, example, KEPT - 1)
    if short is None or fewer is None:
        return None
    try:
        module = lower(short.step, short.example)
        expected = lower(fewer.step, fewer.example)
    except UserError:
        return None  # the whole model's error counts what there is
    try:
        if not _equal(lengthen(module, _from(fewer.weights, short.weights)), expected):
            return None
        whole = lengthen(module, short.weights)
    except UnevenError:
        return None
    _check_names(step.arguments, whole)
    return whole


def _shortened(step: StepFunction, example: StepValues[Tensor], kept: int) -> _Short | None:
    def key_of(name: str) -> Hashable:
        argument = step.arguments.weights[name]
        group = step.optimizer.group_of(name)
        number = None if group is None else step.optimizer.groups.index(group)
        return (argument.role, number, argument.buffer, argument.aliases)

    forward = shorten(step.forward, key_of, LEAST, kept)
    return None if forward is None else _restricted(step, example, forward)


def _restricted(step: StepFunction, example: StepValues[Tensor], forward: ShortForward) -> _Short:
    removed: set[str] = set()
    for weights in forward.weights:
        kept = {name for names in weights.kept for name in names}
        removed |= {name for names in weights.names for name in names} - kept

    def restrict(values: StepValues[T]) -> StepValues[T]:
        return replace(
            values,
            weights={name: v for name, v in values.weights.items() if name not in removed},
            states={key: v for key, v in values.states.items() if key[1] not in removed},
        )

    short = StepFunction(
        forward.graph,
        step.optimizer,
        step.max_grad_norm,
        restrict(step.arguments),
        [name for name in step.trainable if name not in removed],
    )
    return _Short(short, restrict(example), forward.weights)


def _from(
    names: tuple[RepeatedWeights, ...], kept: tuple[RepeatedWeights, ...]
) -> tuple[RepeatedWeights, ...]:
    """The way from the short model `kept` to the short model `names`."""
    pairs = zip(names, kept, strict=True)
    return tuple(RepeatedWeights(goal.kept, start.kept) for goal, start in pairs)


def _equal(left: ir.Module, right: ir.Module) -> bool:
    builder = SequenceBuilder()
    codes = [StepCode.of(find_step(module.operation), builder) for module in (left, right)]
    names = [[text(a, "ssft.name") for a in code.arguments] for code in codes]
    return codes[0].sequence == codes[1].sequence and names[0] == names[1]


def _check_names(arguments: StepValues[Argument], module: ir.Module) -> None:
    """Asserts that the arguments of `module` are `arguments`, in order, less unused ones."""
    expected = iter([(argument.state, argument.name) for argument in arguments.flat()])
    for attributes in argument_attributes(find_step(module.operation)):
        found = (text(attributes, "ssft.state"), str(text(attributes, "ssft.name")))
        assert found in expected, f"argument {found} is out of order"
