"""``ssft-slice-updates``: train only what the masks name.

The update of a masked parameter is rewritten to the tiles of its mask: gradient, moments and new
weight are computed at the slice's size, and the states become arguments of that size. The update
of a frozen parameter goes, and with it its states. Whatever then computes for nobody is dead:
dense weight gradients, and input gradients below the lowest trained operation.

Clipping by global norm becomes clipping by the norm over what is trained.

Where a mask names index lists, they become arguments of the step, before the batch: slices are
gathered by what they hold, and other rows and columns train as soon as they hold others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_attributes import slice_attributes
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature, read_signature
from ssft.compiler.recipes.explicit_masks import check_in_range
from ssft.compiler.rewriting.gradient_readers import (
    GradientReaders,
    Reach,
    all_gradients,
    find_readers,
    sum_over_tiles,
)
from ssft.compiler.rewriting.gradients import GradientSlicer, is_zero
from ssft.compiler.rewriting.index_lists import IndexLists
from ssft.compiler.rewriting.shared_gradients import separate_shared_gradients
from ssft.compiler.rewriting.signature import Argument, Result, rebuild
from ssft.compiler.rewriting.slices import put, take, tensor_type, zeros
from ssft.compiler.tiles import PlacedTile, place, stored_orders
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class SliceUpdatesPass(Pass):
    """Rewrites the updates of masked parameters to slices and drops those of frozen ones.

    Needs ``ssft-form-updates`` before it; leaves dead code for ``canonicalize``.
    """

    argument: ClassVar[str] = "ssft-slice-updates"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step`` and its signature."""
        step = step_ir.find_step(module)
        signature = read_signature(module)
        with module.context, step.location:
            rewriter = _Rewriter(step, signature, context)
            for result in signature.results:
                if result.updates_arg is None:
                    continue
                weight = signature.arguments[result.updates_arg]
                if weight.role == "frozen" and not weight.buffer:
                    rewriter.drop(weight, result.index)
                elif weight.role == "trainable" and weight.mask is not None:
                    rewriter.slice(weight, result.index)
            if not context.failed:
                rewriter.finish()


@dataclass
class _State:
    """A state argument of a slice: its value in the block and its attributes."""

    info: ArgumentInfo
    value: ir.Value
    attributes: dict[str, ir.Attribute]
    updated: ir.Value


class _Rewriter:
    def __init__(self, step: ir.Operation, signature: StepSignature, context: PassContext) -> None:
        self.step = step
        self.signature = signature
        self.context = context
        self.slicer = GradientSlicer()
        separate_shared_gradients(step)
        self.readers = self._find_readers()
        self.arguments = list(step_ir.body(step).arguments)
        self.attributes = step_ir.argument_attributes(step)
        self.lists = IndexLists(step)
        self.states: dict[str, list[int]] = defaultdict(list)
        """The numbers of each parameter's state arguments."""
        for argument in signature.with_role("state"):
            self.states[argument.name].append(argument.index)
        self.results = {
            result.updates_arg: result.index
            for result in signature.results
            if result.updates_arg is not None
        }
        self.dropped: set[int] = set()
        self.sliced: dict[int, list[_State]] = {}
        """New states by the number of the dense state that they replace."""

    def _find_readers(self) -> dict[ir.Operation, GradientReaders]:
        """Finds who reads each update's gradients, while no gradient is rewritten yet."""
        reach = Reach(self.step, all_gradients(self.step))
        updates = [op for op in step_ir.operations(self.step) if op.name == "ssft.update"]
        return {op: find_readers(_segments(op)[2], op, reach) for op in updates}

    def drop(self, weight: ArgumentInfo, result: int) -> None:
        """Drops the update of a frozen parameter, and its states."""
        terminator = step_ir.terminator(self.step)
        update = step_ir.owner(terminator.operands[result])
        terminator.operands[result] = self.arguments[weight.index]
        states = self.states[weight.name]
        for number in states:
            if number in self.results:
                terminator.operands[self.results[number]] = self.arguments[number]
        if update is not None and update.name == "ssft.update":
            if not self._mask_readers(weight, update, []):
                return
            update.erase()
        elif self.signature.max_grad_norm is not None:
            self.context.error(
                self.step,
                f"cannot freeze '{weight.name}': its update is not element-wise, so its gradient "
                "cannot be taken out of the norm for clipping",
                "set requires_grad=False on it in model()",
            )
            return
        self.dropped.update(states)
        self.context.statistics["updates dropped"] += 1

    def slice(self, weight: ArgumentInfo, result: int) -> None:
        """Rewrites the update of a masked parameter to the tiles of its mask."""
        terminator = step_ir.terminator(self.step)
        update = step_ir.owner(terminator.operands[result])
        if update is None or update.name != "ssft.update":
            self.context.error(
                self.step,
                f"cannot mask '{weight.name}': its update is not element-wise",
                "train it entirely or freeze it; or run ssft-form-updates first",
            )
            return
        tiles = self._tiles(weight)
        if not self._mask_readers(weight, update, tiles):
            return
        current = self.arguments[weight.index]
        states = self.states[weight.name]
        for tile in tiles:
            current = self._update_tile(update, weight, states, tile, current)
        terminator.operands[result] = current
        for number in states:
            if number in self.results:
                terminator.operands[self.results[number]] = self.arguments[number]
        update.erase()
        self.dropped.update(states)
        self.context.statistics["updates sliced"] += 1
        self.context.statistics["tiles"] += len(tiles)

    def _tiles(self, weight: ArgumentInfo) -> list[PlacedTile]:
        assert weight.mask is not None
        check_in_range(weight.name, weight.mask, weight.shape)
        tiles = place(weight.mask, stored_orders(weight, self.signature.permutations))
        for tile in tiles:
            self.lists.add(tile.original, weight.shape)
        return tiles

    def _mask_readers(
        self, weight: ArgumentInfo, update: ir.Operation, tiles: Sequence[PlacedTile]
    ) -> bool:
        readers = self.readers[update]
        if readers.unmaskable is not None:
            self.context.error(
                readers.unmaskable,
                f"cannot {'mask' if tiles else 'freeze'} '{weight.name}': "
                f"'{readers.unmaskable.name}' reads its gradient in a way that is no sum of a "
                "function with f(0) = 0",
                "train it entirely",
            )
            return False
        clipping = self.signature.max_grad_norm is not None
        if clipping and not (
            readers.sums or readers.scalars or all(map(is_zero, _segments(update)[2]))
        ):
            self.context.error(
                self.step,
                f"cannot {'mask' if tiles else 'freeze'} '{weight.name}': its gradient cannot be "
                "found in the norm for clipping",
                "set requires_grad=False on it in model(), or train it entirely",
            )
            return False
        for reduction in readers.sums:
            sum_over_tiles(reduction, [self.lists.bind(tile) for tile in tiles], self.slicer)
        for reader, number in readers.scalars:
            with reader.location, ir.InsertionPoint(reader):
                reader.operands[number] = zeros(reader.operands[number])
        return True

    def _update_tile(
        self,
        update: ir.Operation,
        weight: ArgumentInfo,
        states: Sequence[int],
        tile: PlacedTile,
        current: ir.Value,
    ) -> ir.Value:
        """Builds the update of one tile; returns the whole weight with the tile replaced."""
        selectors = self.lists.bind(tile)
        gradients = [self.slicer.slice(g, selectors) for g in _segments(update)[2]]
        new_states = [self._new_state(number, tile) for number in states]
        with update.location, ir.InsertionPoint(update):
            part = take(current, selectors)
            operands = [part, *(state.value for state in new_states), *gradients]
            new = ir.Operation.create(
                "ssft.update",
                results=[value.type for value in operands[: 1 + len(states)]],
                operands=operands,
                attributes={
                    "operandSegmentSizes": update.attributes["operandSegmentSizes"],
                    **slice_attributes(weight.permuted, tile, weight.shape),
                },
                regions=1,
            )
            _copy_region(update, new)
            for state, value in zip(new_states, list(new.results)[1:], strict=True):
                state.updated = value
            return put(current, new.results[0], selectors)

    def _new_state(self, number: int, tile: PlacedTile) -> _State:
        info = self.signature.arguments[number]
        old = self.arguments[number]
        type_ = tensor_type(tile.shape(info.shape), old)
        value = step_ir.body(self.step).add_argument(type_, old.location)
        attributes = {k: v for k, v in self.attributes[number].items() if k != "ssft.permuted"}
        attributes |= slice_attributes(info.permuted, tile, info.shape)
        state = _State(info, value, attributes, value)
        self.sliced.setdefault(number, []).append(state)
        return state

    def finish(self) -> None:
        """Rebuilds the signature: sliced states in the place of dense ones, dropped ones gone."""
        if self.lists.values:
            self.context.statistics["index lists"] += len(self.lists.values)
        terminator = step_ir.terminator(self.step)
        result_attributes = step_ir.result_attributes(self.step)
        values = list(terminator.operands)
        arguments: list[Argument] = []
        for number, (value, attributes) in enumerate(
            zip(self.arguments, self.attributes, strict=True)
        ):
            arguments += [Argument(s.value, s.attributes) for s in self.sliced.get(number, ())]
            if number not in self.dropped:
                arguments.append(Argument(value, attributes))
        arguments = self.lists.inserted(arguments)
        results: list[Result] = []
        for info, attributes in zip(self.signature.results, result_attributes, strict=True):
            target = info.updates_arg
            if target in self.sliced:
                results += [Result(s.updated, attributes, s.value) for s in self.sliced[target]]
            elif target is None:
                results.append(Result(values[info.index], attributes))
            elif values[info.index] != self.arguments[target]:
                results.append(Result(values[info.index], attributes, self.arguments[target]))
        rebuild(self.step, arguments, results)


def _segments(update: ir.Operation) -> tuple[ir.Value, list[ir.Value], list[ir.Value]]:
    """Returns weight, states and gradients of an ``ssft.update``."""
    _, states, _ = list(ir.DenseI32ArrayAttr(update.attributes["operandSegmentSizes"]))
    operands = list(update.operands)
    return operands[0], operands[1 : 1 + states], operands[1 + states :]


def _copy_region(source: ir.Operation, target: ir.Operation) -> None:
    """Clones the scalar program of `source` into the empty region of `target`."""
    old = source.regions[0].blocks[0]
    new = target.regions[0].blocks.append(*[argument.type for argument in old.arguments])
    mapping = dict(zip(old.arguments, new.arguments, strict=True))
    with ir.InsertionPoint(new):
        for op in old.operations:
            op = op.operation
            copy = op.clone()
            for number, operand in enumerate(op.operands):
                if operand in mapping:
                    copy.operands[number] = mapping[operand]
            mapping.update(zip(op.results, copy.results, strict=True))
