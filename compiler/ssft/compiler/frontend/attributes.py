"""Writes roles, names and ranges onto ``@step`` (docs/architecture.md, "The step function")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssft.compiler.analysis.step import find_step, i64, index_list, set_signature
from ssft.compiler.frontend.optimizers import OptimizerSpec
from ssft.compiler.frontend.signature import Argument
from ssft.compiler.plan_attributes import string_list
from ssft.dialects._mlir import ir


def annotate(
    module: ir.Module,
    arguments: Sequence[Argument],
    updates: Sequence[Argument],
    gradients: Sequence[str],
    module_attributes: Mapping[str, Any],
) -> None:
    """Attaches the signature to ``@step`` and plain values to the module as ``ssft.*``.

    `updates` are the arguments that the results after the loss update; the last results are the
    gradients of the parameters named in `gradients`. Module attributes that are None are left out.
    """
    with module.context, ir.Location.unknown():
        position = {id(argument): i for i, argument in enumerate(arguments)}
        results: list[dict[str, ir.Attribute]] = [{"ssft.role": ir.StringAttr.get("loss")}]
        for argument in updates:
            results.append({"ssft.updates_arg": i64(position[id(argument)])})
        for name in gradients:
            role, named = ir.StringAttr.get("gradient"), ir.StringAttr.get(name)
            results.append({"ssft.role": role, "ssft.name": named})
        step = find_step(module.operation)
        set_signature(step, [_argument(argument) for argument in arguments], results)
        for name, value in module_attributes.items():
            if value is not None:
                module.operation.attributes[f"ssft.{name}"] = _attribute(value)


def optimizer_attribute(spec: OptimizerSpec) -> dict[str, Any]:
    """Describes the compiled-in optimizer: kind, default rate, PyTorch's options, further groups.

    ``groups``, present if the optimizer has several, lists of each its parameters, its options and
    ``lr_scale``, its learning rate over that of the first. ``moments`` and ``master_weights`` say
    how half-precision parameters are updated, if they were asked for.
    """
    described = {"kind": spec.kind, "lr": spec.lr, **spec.hyper_parameters}
    if spec.moments:
        described |= {"moments": spec.moments, "master_weights": spec.master_weights}
    if len(spec.groups) > 1:
        described["groups"] = [
            {"parameters": list(group.names), "lr_scale": group.lr_scale, **group.options}
            for group in spec.groups
        ]
    return described


def _argument(argument: Argument) -> dict[str, ir.Attribute]:
    attributes: dict[str, ir.Attribute] = {
        "ssft.role": ir.StringAttr.get(argument.role),
        "ssft.name": ir.StringAttr.get(argument.name),
    }
    if argument.state is not None:
        attributes["ssft.state"] = ir.StringAttr.get(argument.state)
    if argument.value_range is not None:
        attributes["ssft.range"] = index_list(argument.value_range)
    if argument.ignore is not None:
        attributes["ssft.ignore"] = i64(argument.ignore)
    if argument.buffer:
        attributes["ssft.buffer"] = ir.UnitAttr.get()
    if argument.aliases:
        attributes["ssft.aliases"] = string_list(argument.aliases)
    return attributes


def _attribute(value: Any) -> ir.Attribute:
    """Returns `value` (bool, int, float, str, list, tuple of floats or mapping) as an attribute."""
    if isinstance(value, bool):
        return ir.BoolAttr.get(value)
    if isinstance(value, int):
        return i64(value)
    if isinstance(value, float):
        return ir.FloatAttr.get(ir.F64Type.get(), value)
    if isinstance(value, str):
        return ir.StringAttr.get(value)
    if isinstance(value, tuple):
        return ir.DenseF64ArrayAttr.get(list(value))
    if isinstance(value, list):
        return ir.ArrayAttr.get([_attribute(item) for item in value])
    return ir.DictAttr.get({key: _attribute(item) for key, item in value.items()})
