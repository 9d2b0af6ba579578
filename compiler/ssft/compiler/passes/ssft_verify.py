"""``ssft-verify``: what must hold across the operations of a plan.

Operation verifiers see one operation; the rules here tie arguments, results and updates together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import weight_gradient_operations
from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.permutation import Layout, axis_orders
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature, read_signature
from ssft.compiler.tiles import place
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class VerifyPass(Pass):
    """Checks a plan and changes nothing.

    (V1) an updated argument and its update have the same type; (V2) frozen arguments and inputs
    are never updated; (V3) states belong to a trainable parameter; (V4) the states of a masked
    parameter have the shapes of its mask's tiles; (V5) no weight gradient of a masked parameter is
    dense; (V6) permutations fit the dimensions that name them.
    """

    argument: ClassVar[str] = "ssft-verify"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Reports every violation."""
        step = step_ir.find_step(module)
        try:
            signature = read_signature(module)
        except UserError as error:
            context.error(step, error.message, *error.notes)
            return
        for problem in [*_updates(signature), *_states(signature), *_permutations(signature)]:
            context.error(step, problem)
        if not context.failed:
            _gradients(step, signature, context)


def _updates(signature: StepSignature) -> list[str]:
    problems = []
    for result in signature.results:
        if result.updates_arg is None:
            continue
        target = signature.arguments[result.updates_arg]
        if (target.shape, target.dtype) != (result.shape, result.dtype):
            problems.append(
                f"(V1) result {result.index} of type {_type(result)} updates argument "
                f"{target.index} '{target.name}' of type {_type(target)}"
            )
        if target.role not in ("trainable", "state", "step"):
            problems.append(
                f"(V2) result {result.index} updates argument {target.index} '{target.name}', "
                f"whose role is '{target.role}'"
            )
    return problems


def _states(signature: StepSignature) -> list[str]:
    problems = []
    weights = {a.name: a for a in signature.with_role("trainable")}
    tiles: dict[tuple[str, str | None], list[tuple[int, ...]]] = {}
    for state in signature.with_role("state"):
        if state.name not in weights:
            problems.append(f"(V3) state '{state.state}' of '{state.name}', which does not train")
        tiles.setdefault((state.name, state.state), []).append(state.shape)
    for (name, kind), shapes in tiles.items():
        weight = weights.get(name)
        if weight is None:
            continue
        expected = _tile_shapes(weight)
        if shapes != expected:
            problems.append(
                f"(V4) state '{kind}' of '{name}' has shapes {_shapes(shapes)}, but its mask has "
                f"tiles of {_shapes(expected)}"
            )
    return problems


def _permutations(signature: StepSignature) -> list[str]:
    problems = []
    orders = axis_orders(signature.permutations)
    for argument in signature.arguments:
        for dim, text in enumerate(argument.permuted or ()):
            try:
                size = Layout.parse(text).size(orders)
            except UserError as error:
                problems.append(f"(V6) dimension {dim} of '{argument.name}': {error.message}")
                continue
            if size != argument.shape[dim]:
                problems.append(
                    f"(V6) dimension {dim} of '{argument.name}' has {argument.shape[dim]} indices, "
                    f"but '{text}' has {size}"
                )
    return problems


def _gradients(step: ir.Operation, signature: StepSignature, context: PassContext) -> None:
    """(V5): a contraction of a masked parameter's whole shape feeds one of its updates."""
    products = weight_gradient_operations(step)
    masked = {tuple(a.shape) for a in signature.with_role("trainable") if a.mask is not None}
    whole = {tuple(a.shape) for a in signature.with_role("trainable") if a.mask is None}
    for product in products:
        shape = tuple(step_ir.shape_of(product.results[0]) or ())
        if shape in masked - whole:
            context.error(product, f"(V5) the weight gradient of shape {_shapes([shape])} is dense")


def _tile_shapes(weight: ArgumentInfo) -> list[tuple[int, ...]]:
    if weight.mask is None:
        return [weight.shape]
    orders = [range(size) for size in weight.shape]
    return [tuple(tile.shape(weight.shape)) for tile in place(weight.mask, orders)]


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)


def _type(value) -> str:
    return "x".join([*map(str, value.shape), value.dtype])
