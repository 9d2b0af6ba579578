"""A step in MLIR with as many repetitions as the model has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Values
from dataclasses import dataclass
from typing import Any

from ssft.compiler.analysis.step import (
    argument_attributes,
    body,
    find_step,
    i64,
    operations,
    result_attributes,
    set_signature,
    terminator,
    text,
    updated_argument,
)
from ssft.compiler.frontend.layers.forward import RepeatedWeights
from ssft.compiler.frontend.layers.names import Names
from ssft.compiler.repeats import (
    Changed,
    Run,
    Sequence,
    SequenceBuilder,
    change_counts,
    find_runs,
)
from ssft.dialects._mlir import ir

Attributes = dict[str, ir.Attribute]


@dataclass
class StepCode:
    """``@step`` as a sequence: its arguments, its operations, and what it returns.

    `operands` are for each item the values that it reads, as (position, result number).
    """

    step: ir.Operation
    arguments: list[Attributes]
    results: list[Attributes]
    operations: list[ir.Operation]
    operands: list[list[tuple[int, int]]]
    sequence: Sequence

    @classmethod
    def of(cls, step: ir.Operation, builder: SequenceBuilder) -> StepCode:
        """Reads `step`."""
        arguments, results = argument_attributes(step), result_attributes(step)
        code = cls(step, arguments, results, [], [], Sequence((), ()))
        place: dict[ir.Value, tuple[int, int]] = {}
        block = body(step)
        for argument, attributes in zip(block.arguments, arguments, strict=True):
            place[argument] = (builder.append(_argument_key(argument, attributes)), 0)
            code.operands.append([])
        for op in operations(step):
            if op.name == "func.return":
                break
            reads = [place[value] for value in read_values(op)]
            key = (_operation_key(op, {}), tuple(number for _, number in reads))
            position = builder.append(key, [position for position, _ in reads])
            place |= {result: (position, i) for i, result in enumerate(op.results)}
            code.operations.append(op)
            code.operands.append(reads)
        for value, attributes in zip(terminator(step).operands, results, strict=True):
            reads = [place[value]]
            updated = updated_argument(attributes)
            if updated is not None:
                reads.append((updated, 0))
            builder.append(_result_key(value, attributes, reads[0][1]), [p for p, _ in reads])
            code.operands.append(reads)
        code.sequence = builder.finish()
        return code


def read_values(op: ir.Operation) -> list[ir.Value]:
    """Returns the operands of `op` and what its regions read from outside of it, in order."""
    return [value for _, _, value in _uses(op)]


def _uses(op: ir.Operation) -> Iterator[tuple[ir.Operation, int, ir.Value]]:
    """Yields (operation, operand number, value) for everything read from outside of `op`."""
    yield from ((op, i, value) for i, value in enumerate(op.operands))
    inside: set[ir.Value] = set()
    for region in op.regions:
        for inner in _walk(region):
            if isinstance(inner, ir.Block):
                inside |= set(inner.arguments)
                continue
            for i, value in enumerate(inner.operands):
                if value not in inside:
                    yield inner, i, value
            inside |= set(inner.results)


def _walk(region: ir.Region) -> Iterator[ir.Block | ir.Operation]:
    for block in region.blocks:
        yield block
        for op in block.operations:
            yield op.operation
            for inner in op.operation.regions:
                yield from _walk(inner)


def _operation_key(op: ir.Operation, local: dict[ir.Value, int]) -> tuple[Any, ...]:
    """Returns all of an operation but its location and the outer values that it reads.

    `local` numbers the values of the regions that hold the operation.
    """
    regions = []
    for region in op.regions:
        for block in region.blocks:
            for argument in block.arguments:
                local[argument] = len(local)
            inner = tuple(_operation_key(each.operation, local) for each in block.operations)
            regions.append((tuple(argument.type for argument in block.arguments), inner))
    operands = tuple(local.get(value, -1) for value in op.operands)
    for result in op.results:
        local[result] = len(local)
    attributes = tuple(op.attributes.items())
    types = tuple(result.type for result in op.results)
    return (op.name, attributes, types, operands, tuple(regions))


def _argument_key(argument: ir.Value, attributes: Attributes) -> tuple[Any, ...]:
    kept = sorted((key, str(value)) for key, value in attributes.items() if key != "ssft.name")
    return ("argument", str(argument.type), tuple(kept))


def _result_key(value: ir.Value, attributes: Attributes, number: int) -> tuple[Any, ...]:
    kept = sorted(
        (key, str(attribute))
        for key, attribute in attributes.items()
        if key not in ("ssft.name", "ssft.updates_arg")
    )
    return ("result", str(value.type), tuple(kept), number)


def lengthen(module: ir.Module, weights: Values[RepeatedWeights]) -> ir.Module:
    """Returns `module` with as many repetitions as the model of `weights` has.

    `module` holds the step of the shortened model at stage ``linalg``. Raises `UnevenError` if its
    repetitions are not found again.
    """
    builder = SequenceBuilder()
    code = StepCode.of(find_step(module.operation), builder)
    names = Names(weights)
    grouped = _groups(code, _runs(code, names), names)
    runs = list(grouped)
    extra = [weights[group].removed for group in grouped.values()]
    changed = change_counts(code.sequence, runs, extra)
    return _build(module, code, changed, _names(code, runs, changed, names))


def _name(attributes: Attributes) -> str | None:
    return text(attributes, "ssft.name")


def _runs(code: StepCode, names: Names) -> list[Run]:
    """Finds runs at the distances at which one layer's values and those of the next are used."""
    users: dict[int, list[int]] = defaultdict(list)
    for position, operands in enumerate(code.sequence.operands):
        for operand in set(operands):
            users[operand].append(position)
    kept = {len(weights.kept) for weights in names.weights}
    counts = {count + more for count in kept for more in (-1, 0, 1)}
    periods: set[int] = set()
    runs: list[Run] = []
    pairs = list(_weight_pairs(code, names))
    while True:
        found = {abs(b - a) for a, b in pairs}
        for a, b in pairs:
            if len(users[a]) == len(users[b]):
                found |= {abs(y - x) for x, y in zip(users[a], users[b], strict=True)}
        if found <= periods | {0}:
            return runs
        periods |= found - {0}
        runs = find_runs(code.sequence, periods, counts)
        pairs += [
            (position, position + run.period)
            for run in runs
            for position in range(run.start, run.stop - run.period)
        ]


def _weight_pairs(code: StepCode, names: Names) -> Iterator[tuple[int, int]]:
    """Yields the positions of arguments that are the same of one repetition and of the next."""
    identity = {
        (text(attributes, "ssft.role"), text(attributes, "ssft.state"), _name(attributes)): i
        for i, attributes in enumerate(code.arguments)
    }
    for (role, state, name), i in identity.items():
        following = names.next_of(name or "")
        j = identity.get((role, state, following)) if following else None
        if j is not None:
            yield i, j


def _groups(code: StepCode, runs: Values[Run], names: Names) -> dict[Run, int]:
    """Returns the runs that go with repeated weights, each with their number.

    A stretch may also repeat by accident, reading the same every time or itself.
    """
    groups: dict[Run, int] = {}
    for run in runs:
        for position in range(run.start, min(run.stop, len(code.arguments))):
            at = names.standing.get(_name(code.arguments[position]) or "")
            if at is not None:
                groups.setdefault(run, at.group)
    known = -1
    while known < len(groups):
        known = len(groups)
        for run in runs:
            for position in range(run.start + run.period, run.start + 2 * run.period):
                later = code.sequence.operands[position + run.period]
                for a, b in zip(code.sequence.operands[position], later, strict=True):
                    for other in [*groups] if a != b else ():
                        if other.place(a) and other.place(b):
                            groups.setdefault(run, groups[other])
    return dict(sorted(groups.items()))


def _names(code: StepCode, runs: Values[Run], changed: Changed, names: Names) -> dict[int, str]:
    """Returns the names of arguments and results by their new positions."""
    first_result = len(code.arguments) + len(code.operations)

    def old_name(position: int) -> str | None:
        if position < len(code.arguments):
            return _name(code.arguments[position])
        return _name(code.results[position - first_result]) if position >= first_result else None

    found: dict[int, str] = {}
    for position, (source, place) in enumerate(zip(changed.sources, changed.places, strict=True)):
        name = old_name(source)
        if name is None:
            continue
        if place is None:
            found[position] = names.outside(name)
            continue
        run = runs[place[0]]
        offset = (source - run.start) % run.period
        column = [old_name(run.start + k * run.period + offset) for k in range(run.count)]
        found[position] = names.inside(run, column, place[1])
    return found


def _build(
    module: ir.Module, code: StepCode, changed: Changed, names: Mapping[int, str]
) -> ir.Module:
    with module.context, ir.Location.unknown():
        grown = ir.Module.create()
        for name, attribute in module.operation.attributes.items():
            grown.operation.attributes[name] = attribute
        with ir.InsertionPoint(grown.body):
            _Builder(code, changed, names).build()
        grown.operation.verify()
        return grown


class _Builder:
    """Writes the changed code as a new function."""

    def __init__(self, code: StepCode, changed: Changed, names: Mapping[int, str]) -> None:
        self.code, self.changed, self.names = code, changed, names
        self.values: list[Values[ir.Value]] = []

    def build(self) -> ir.Operation:
        """Creates ``@step`` at the current insertion point."""
        arguments = self._arguments()
        block = body(self.code.step)
        types = [block.arguments[self.changed.sources[i]].type for i in range(len(arguments))]
        locations = [ir.Location.name(str(_name(attributes))) for attributes in arguments]
        step = ir.Operation.create(
            "func.func",
            attributes={
                "sym_name": ir.StringAttr.get("step"),
                "function_type": ir.TypeAttr.get(ir.FunctionType.get([], [])),
            },
            regions=1,
            loc=self.code.step.location,
        )
        entry = ir.Block.create_at_start(step.regions[0], types, locations)
        self.values = [[argument] for argument in entry.arguments]
        point = ir.InsertionPoint(entry)
        results, returned = [], []
        for position in range(len(arguments), len(self.changed.sources)):
            source = self.changed.sources[position]
            operation = source - len(self.code.arguments)
            reads = self._reads(position)
            if operation < len(self.code.operations):
                clone = self.code.operations[operation].clone(ip=point)
                for (inner, number, _), value in zip(list(_uses(clone)), reads, strict=True):
                    inner.operands[number] = value
                self.values.append(list(clone.results))
                continue
            returned.append(reads[0])
            attributes = dict(self.code.results[operation - len(self.code.operations)])
            if len(reads) > 1:
                attributes["ssft.updates_arg"] = i64(self.changed.operands[position][1])
            if position in self.names:
                attributes["ssft.name"] = ir.StringAttr.get(self.names[position])
            results.append(attributes)
        location = terminator(self.code.step).location
        ir.Operation.create("func.return", operands=returned, loc=location, ip=point)
        set_signature(step, arguments, results)
        return step

    def _arguments(self) -> list[Attributes]:
        found = []
        for position, source in enumerate(self.changed.sources):
            if source >= len(self.code.arguments):
                break
            attributes = dict(self.code.arguments[source])
            attributes["ssft.name"] = ir.StringAttr.get(self.names[position])
            found.append(attributes)
        return found

    def _reads(self, position: int) -> list[ir.Value]:
        numbers = self.code.operands[self.changed.sources[position]]
        operands = self.changed.operands[position]
        return [
            self.values[operand][number]
            for operand, (_, number) in zip(operands, numbers, strict=True)
        ]
