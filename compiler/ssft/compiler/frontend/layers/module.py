"""A step in MLIR with as many repetitions as the model has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Values

from ssft.compiler.analysis.phases import outer_uses
from ssft.compiler.analysis.step import body, find_step, i64, set_signature, terminator, text
from ssft.compiler.analysis.step_code import Attributes, StepCode
from ssft.compiler.frontend.layers.forward import RepeatedWeights
from ssft.compiler.frontend.layers.names import Names
from ssft.compiler.repeats import Changed, Run, SequenceBuilder, change_counts, find_runs
from ssft.dialects._mlir import ir


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
                for (inner, number, _), value in zip(list(outer_uses(clone)), reads, strict=True):
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
