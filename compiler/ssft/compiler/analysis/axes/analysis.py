"""The axis analysis: one walk over the step, then the answer in a form that holds no IR."""

from __future__ import annotations

from collections.abc import Mapping

from ssft.compiler.analysis.axes.builder import AxisBuilder
from ssft.compiler.analysis.axes.generic import LinalgRule
from ssft.compiler.analysis.axes.operations import RULES
from ssft.compiler.analysis.axes.result import AxisAnalysis
from ssft.compiler.analysis.axes.structural import elementwise
from ssft.compiler.analysis.axes.summary import summarize
from ssft.compiler.analysis.step import (
    argument_attributes,
    body,
    operations,
    result_attributes,
    terminator,
    text,
    updated_argument,
)
from ssft.dialects._mlir import ir

PERMUTABLE_ROLES = frozenset({"trainable", "frozen", "state"})
"""Roles of arguments that are stored in whatever order the plan says."""


def analyze_axes(step: ir.Operation) -> AxisAnalysis:
    """Finds the axes of `step`, a ``func.func`` on tensors of static shape in one block.

    The module is not changed, and the answer keeps no handles to it. Time is near-linear in the
    number of operations.

    Raises:
        UserError: a tensor has a dynamic dimension.
    """
    builder = AxisBuilder()
    forest = builder.forest
    ops = list(operations(step))
    _arguments(builder, step)
    linalg = LinalgRule(builder)
    for site, op in enumerate(ops):
        forest.site = site
        _visit(builder, linalg, op)
    forest.site = len(ops) - 1
    _results(builder, step)
    names = [_argument_name(a, i) for i, a in enumerate(argument_attributes(step))]
    return summarize(
        builder,
        [
            (name, builder.dimensions(argument))
            for name, argument in zip(names, body(step).arguments, strict=True)
        ],
        lambda site: str(ops[site].location) if site >= 0 else f"argument {names[-1 - site]}",
    )


def _arguments(builder: AxisBuilder, step: ir.Operation) -> None:
    """Pins what the caller provides in an order of its own. Argument i is site ``-1 - i``."""
    attributes = argument_attributes(step)
    for number, (argument, entry) in enumerate(zip(body(step).arguments, attributes, strict=True)):
        role = text(entry, "ssft.role")
        if role not in PERMUTABLE_ROLES:
            builder.forest.site = -1 - number
            builder.pin(argument, f"visible outside the step ({role or 'argument without a role'})")


def _results(builder: AxisBuilder, step: ir.Operation) -> None:
    """Couples each new state to the old one, and pins what the caller reads."""
    arguments = list(body(step).arguments)
    parameters = {
        text(entry, "ssft.name"): argument
        for argument, entry in zip(arguments, argument_attributes(step), strict=True)
        if text(entry, "ssft.role") == "trainable"
    }
    values = list(terminator(step).operands)
    for value, entry in zip(values, result_attributes(step), strict=True):
        target = updated_argument(entry)
        role = text(entry, "ssft.role")
        if target is not None:
            builder.unify_values(arguments[target], value)
        elif role == "gradient" and text(entry, "ssft.name") in parameters:
            # It is stored as its parameter is, and read back through the parameter's layout.
            parameter = parameters[text(entry, "ssft.name")]
            if builder.shape(parameter) == builder.shape(value):
                builder.unify_values(parameter, value)
        else:
            builder.pin(value, f"visible outside the step ({role or 'result without a role'})")


def _argument_name(attributes: Mapping[str, ir.Attribute], number: int) -> str:
    name = text(attributes, "ssft.name") or f"argument{number}"
    state = text(attributes, "ssft.state")
    return f"{name}/{state}" if state else name


def _visit(builder: AxisBuilder, linalg: LinalgRule, op: ir.Operation) -> None:
    name = op.name
    if name in RULES:
        RULES[name](builder, op)
    elif linalg.applies(op):
        linalg.visit(op)
    elif name.startswith(("arith.", "math.")):
        elementwise(builder, op)
    else:
        _unknown(builder, op)


def _unknown(builder: AxisBuilder, op: ir.Operation) -> None:
    """Pins whatever an operation without a rule touches, in its regions too."""
    touched = []
    pending = [op]
    while pending:
        inner = pending.pop()
        touched += [value for value in (*inner.operands, *inner.results) if builder.shape(value)]
        pending += [
            nested.operation
            for region in inner.regions
            for block in region.blocks
            for nested in block.operations
        ]
    if touched:
        builder.unknown[op.name] += 1
    for value in touched:
        builder.pin(value, f"no rule for {op.name}")
