"""``ssft-verify``: what must hold across the operations of a plan.

Operation verifiers see one operation; the rules here tie arguments, results and updates together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import contractions_behind, gradients
from ssft.compiler.analysis.updates import updated_parameter
from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.permutation import Layout, axis_orders
from ssft.compiler.plan_schema import ArgumentInfo, Mask, StepSignature, Tile, read_signature
from ssft.compiler.recipes.explicit_masks import check_in_range
from ssft.compiler.tiles import PlacedTile, place
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class VerifyPass(Pass):
    """Checks a plan and changes nothing.

    (V1) the signature is complete and consistent, an updated argument and its update having the
    same type; (V2) frozen parameters and inputs are never updated, buffers may be; (V3) states
    belong to a trainable parameter; (V4) masks name indices of their parameters, and the states of
    a parameter are the tiles of its mask; (V5) no weight gradient of a masked parameter is dense;
    (V6) permutations fit the dimensions that name them; (V7) the index lists that masks and tiles
    name are arguments with indices that fit the dimension, and rectangles of a mask are disjoint.
    """

    argument: ClassVar[str] = "ssft-verify"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Reports every violation."""
        step = step_ir.find_step(module)
        try:
            signature = read_signature(module)
        except UserError as error:
            context.error(step, f"(V1) {error.message}", *error.notes)
            return
        checks = (_updates, _states, _permutations, _lists, _rectangles)
        for problem in [problem for check in checks for problem in check(signature)]:
            context.error(step, problem)
        if not context.failed:
            _gradients(step, signature, context)


def _updates(signature: StepSignature) -> list[str]:
    problems = []
    for result in signature.results:
        if result.updates_arg is None:
            continue
        target = signature.arguments[result.updates_arg]
        if target.role not in ("trainable", "state", "step") and not target.buffer:
            problems.append(
                f"(V2) result {result.index} updates argument {target.index} '{target.name}', "
                f"whose role is '{target.role}'"
            )
    return problems


def _states(signature: StepSignature) -> list[str]:
    problems = []
    expected: dict[str, list[PlacedTile]] = {}
    weights = {a.name: a for a in signature.with_role("trainable")}
    for weight in weights.values():
        try:
            expected[weight.name] = _tiles(weight)
        except UserError as error:
            problems.append(f"(V4) {error.message}")
    groups: dict[tuple[str, str | None], list[ArgumentInfo]] = {}
    for state in signature.with_role("state"):
        groups.setdefault((state.name, state.state), []).append(state)
    for (name, kind), states in groups.items():
        if name not in weights:
            problems.append(f"(V3) state '{kind}' of '{name}', which does not train")
        elif name in expected:
            problems += _tile_problems(kind, weights[name], states, expected[name])
    return problems


def _tile_problems(
    kind: str | None, weight: ArgumentInfo, states: list[ArgumentInfo], tiles: list[PlacedTile]
) -> list[str]:
    """(V4) for the states of one kind of one parameter."""
    what = f"(V4) state '{kind}' of '{weight.name}'"
    shapes = [state.shape for state in states]
    expected = [tuple(tile.shape(weight.shape)) for tile in tiles]
    if shapes != expected:
        return [
            f"{what} has shapes {_shapes(shapes)}, but its mask has tiles of {_shapes(expected)}"
        ]
    return [
        f"{what}, of shape {_shapes([state.shape])}, holds other indices than its tile of the mask"
        for state, tile in zip(states, tiles, strict=True)
        if _held(state.tile or Tile(), weight.shape) != _held(tile.original, weight.shape)
    ]


def _held(tile: Tile, shape: tuple[int, ...]) -> list[set[int]]:
    """Returns the rows and columns that `tile` holds of a parameter of `shape`."""
    return [
        set(range(size) if indices is None else indices)
        for indices, size in zip((tile.rows, tile.columns), shape, strict=False)
    ]


def _permutations(signature: StepSignature) -> list[str]:
    try:
        orders = axis_orders(signature.permutations)
    except UserError as error:
        return [f"(V6) {error.message}"]
    problems = []
    for argument in signature.arguments:
        layouts = argument.permuted or ()
        if layouts and len(layouts) != len(argument.shape):
            problems.append(
                f"(V6) '{argument.name}' has {len(argument.shape)} dimensions, but "
                f"{len(layouts)} layouts"
            )
            continue
        for dim, (text, extent) in enumerate(zip(layouts, argument.shape, strict=False)):
            try:
                size = Layout.parse(text).size(orders)
            except UserError as error:
                problems.append(f"(V6) dimension {dim} of '{argument.name}': {error.message}")
                continue
            if size != extent:
                problems.append(
                    f"(V6) dimension {dim} of '{argument.name}' has {extent} indices, "
                    f"but '{text}' has {size}"
                )
    return problems


def _lists(signature: StepSignature) -> list[str]:
    """(V7) for index lists."""
    lists = {argument.name: argument for argument in signature.with_role("index")}
    problems = []
    for argument in lists.values():
        what = f"(V7) index list '{argument.name}'"
        low, high = argument.range or (0, 0)
        indices = argument.indices or ()
        if argument.shape != (len(indices),) or argument.dtype != "i64":
            problems.append(f"{what} is no tensor<{len(indices)}xi64>, which its indices fill")
        elif len(set(indices)) != len(indices) or not all(low <= i < high for i in indices):
            problems.append(
                f"{what} has indices that repeat, or lie outside of {low} to {high - 1}"
            )
        if argument.complement is not None and argument.complement not in lists:
            problems.append(f"{what} is the rest of '{argument.complement}', which does not exist")
    for argument in signature.arguments:
        records = [argument.tile, *(argument.mask.tiles(argument.shape) if argument.mask else ())]
        for record in filter(None, records):
            for (indices, name), extent in zip(record.sides, argument.shape, strict=False):
                if name is None:
                    continue
                listed = lists.get(name)
                if listed is None:
                    problems.append(
                        f"(V7) '{argument.name}' names index list '{name}', which does not exist"
                    )
                elif listed.indices != indices:
                    problems.append(f"(V7) '{argument.name}' has other indices than list '{name}'")
                elif argument.mask is not None and listed.range != (0, extent):
                    problems.append(
                        f"(V7) index list '{name}' does not range over the {extent} indices of "
                        f"'{argument.name}'"
                    )
    return problems


def _rectangles(signature: StepSignature) -> list[str]:
    """(V7) for masks of rectangles."""
    problems = []
    for argument in signature.with_role("trainable"):
        if argument.mask is None or argument.mask.combine != "rectangles":
            continue
        held = [_held(tile, argument.shape) for tile in argument.mask.rectangles]
        for number, first in enumerate(held):
            if any(
                all(a & b for a, b in zip(first, other, strict=True)) for other in held[:number]
            ):
                problems.append(
                    f"(V7) rectangle {number} of '{argument.name}' overlaps another one"
                )
    return problems


def _gradients(step: ir.Operation, signature: StepSignature, context: PassContext) -> None:
    """(V5): no product of a masked parameter's whole shape feeds the update of a part of it."""
    for update in step_ir.operations(step):
        number = updated_parameter(update) if update.name == "ssft.update" else None
        if number is None:
            continue
        whole = list(signature.arguments[number].shape)
        if step_ir.shape_of(update.operands[0]) == whole:
            continue
        for product in contractions_behind(gradients(update)):
            if step_ir.shape_of(product.results[0]) == whole:
                context.error(
                    product,
                    f"(V5) the weight gradient of '{signature.arguments[number].name}' is dense, "
                    f"of shape {_shapes([tuple(whole)])}",
                )


def _tiles(weight: ArgumentInfo) -> list[PlacedTile]:
    """Returns the tiles of a parameter's mask, in original order."""
    mask = weight.mask or Mask()
    check_in_range(weight.name, mask, weight.shape)
    return place(mask, [range(size) for size in weight.shape])


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
