"""From repeated operations to calls."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.analysis.phases import outer_uses
from ssft.compiler.analysis.step import OUTLINED, body, find_step
from ssft.compiler.analysis.step_code import StepCode, prints_regions
from ssft.compiler.outlining.form import PREFIX, SLOT, SLOTS, is_shared, shared_key
from ssft.compiler.repeats import SequenceBuilder, Stretch, find_stretches
from ssft.dialects._mlir import ir

LEAST = 4
"""Repetitions from which on a function is worth looking for."""

_LINE = 150
"""What a line of text takes, in characters; operations in regions have lines of their own."""

Place = tuple[int, int]
"""A value: the position of what defines it, and which of its results it is."""


@dataclass
class Outlined:
    """What was done: functions, calls, and operations of ``@step`` that are in them now."""

    functions: int = 0
    calls: int = 0
    operations: int = 0


def outline_layers(module: ir.Operation, least: int = LEAST) -> Outlined:
    """Makes each stretch of ``@step`` that occurs `least` times or more a function, if that pays.

    Calls stand where the stretches stood. What a stretch reads or is read of becomes an argument or
    a result; constants that all occurrences share are the function's own, too.
    """
    step = find_step(module)
    code = StepCode.of(step, SequenceBuilder(), calls=True)
    done = Outlined()
    with module.context:
        work = _Step(code)
        stretches = find_stretches(code.sequence, work.sizes(), work.barred(), least)
        # Plans are made before anything changes: they need the operands as they were.
        stretches = sorted(stretches, key=_first)
        work.share(min(map(_first, stretches), default=0))
        plans = [_Plan.of(work, stretch) for stretch in stretches]
        for number, plan in enumerate(plans):
            work.outline(plan, f"repeated_{number}")
            done.functions += 1
            done.calls += len(plan.stretch.starts)
            done.operations += len(plan.stretch.starts) * plan.stretch.period
        work.erase()
    return done


def _first(stretch: Stretch) -> int:
    return stretch.starts[0]


@dataclass
class _Plan:
    """One function: what each occurrence passes to it, and what of any of them is read outside.

    `reads` says of each time that the stretch reads a value from outside, in order, whether that is
    an argument (its number) or one that the function makes itself (a place in ``@step``). `inputs`
    are the arguments by occurrence; `outputs` are offsets in the stretch with numbers of results.
    """

    stretch: Stretch
    reads: list[int | Place]
    inputs: list[list[Place]]
    outputs: list[Place]

    @classmethod
    def of(cls, step: _Step, stretch: Stretch) -> _Plan:
        rows = [step.reads_of(start, stretch.period) for start in stretch.starts]
        columns = list(zip(*rows, strict=True))
        arguments: dict[tuple[Place, ...], int] = {}
        reads: list[int | Place] = []
        for column in columns:
            if len(set(column)) == 1 and column[0] in step.shared:
                reads.append(column[0])
            else:
                reads.append(arguments.setdefault(column, len(arguments)))
        outputs: set[Place] = set()
        for start in stretch.starts:
            stop = start + stretch.period
            outputs |= {
                (place[0] - start, place[1])
                for place in step.places(start, stop)
                if step.last_use.get(place, -1) >= stop
            }
        inputs = [[column[k] for column in arguments] for k in range(len(rows))]
        return cls(stretch, reads, inputs, sorted(outputs))


class _Step:
    """``@step`` while stretches of it become functions."""

    def __init__(self, code: StepCode) -> None:
        self.code = code
        self.first = len(code.arguments)
        self.values: list[list[ir.Value]] = [[argument] for argument in body(code.step).arguments]
        for op in code.operations:
            self.values.append([*op.results])
        self.last_use = {
            place: position for position, reads in enumerate(code.operands) for place in reads
        }
        self.shared: set[Place] = set()
        self.dead: list[ir.Operation] = []

    def operation(self, position: int) -> ir.Operation:
        return self.code.operations[position - self.first]

    def value(self, place: Place) -> ir.Value:
        return self.values[place[0]][place[1]]

    def places(self, start: int, stop: int) -> list[Place]:
        """Returns the values that operations define."""
        return [(i, k) for i in range(start, stop) for k in range(len(self.values[i]))]

    def reads_of(self, start: int, period: int) -> list[Place]:
        """Returns what the operations from `start` on read from outside, each time they do."""
        span = range(start, start + period)
        return [place for i in span for place in self.code.operands[i] if place[0] < start]

    def share(self, stop: int) -> None:
        """Lets functions have constants of their own that inlining finds again.

        Those are the first of several equal ones, and stand before `stop`, the first call.
        """
        found: dict[object, Place] = {}
        for number, op in enumerate(self.code.operations[: max(stop - self.first, 0)]):
            if is_shared(op):
                found.setdefault(shared_key(op), (self.first + number, 0))
        self.shared = set(found.values())

    def sizes(self) -> list[int]:
        """Returns about how many characters each item takes."""
        operations = [_LINE * _lines(op) for op in self.code.operations]
        return [0] * self.first + operations + [0] * len(self.code.results)

    def barred(self) -> set[int]:
        """Returns the items that must not move: signature, constants, and calls."""
        fixed = {
            self.first + number
            for number, op in enumerate(self.code.operations)
            if is_shared(op) or op.name == "func.call"
        }
        stop = self.first + len(self.code.operations)
        return fixed | {*range(self.first), *range(stop, len(self.code.sequence))}

    def outline(self, plan: _Plan, name: str) -> None:
        """Makes the function of `plan`, and calls it in each place."""
        slots = self._slots(plan.stretch)
        self._function(plan, name, list(slots))
        for number, start in enumerate(plan.stretch.starts):
            first = self.operation(start)
            attributes: dict[str, ir.Attribute] = {"callee": ir.FlatSymbolRefAttr.get(name)}
            if slots:
                attributes[SLOTS] = ir.ArrayAttr.get([slot[number] for slot in slots.values()])
            call = ir.Operation.create(
                "func.call",
                results=[self.value((start + i, k)).type for i, k in plan.outputs],
                operands=[self.value(place) for place in plan.inputs[number]],
                attributes=attributes,
                loc=first.location,
                ip=ir.InsertionPoint(first),
            )
            for (offset, k), result in zip(plan.outputs, call.results, strict=True):
                self.values[start + offset][k].replace_all_uses_with(result)
                self.values[start + offset][k] = result
            self.dead += [self.operation(start + i) for i in range(plan.stretch.period)]

    def _slots(self, stretch: Stretch) -> dict[int, list[ir.Attribute]]:
        """Returns, by offset, the attributes of each occurrence where they differ."""
        found = {}
        for offset in range(stretch.period):
            own = [_own_attributes(self.operation(start + offset)) for start in stretch.starts]
            if len(set(own)) > 1:
                found[offset] = own
        return found

    def _function(self, plan: _Plan, name: str, slots: list[int]) -> None:
        start, where = plan.stretch.starts[0], self.code.step.location
        inputs = [self.value(place).type for place in plan.inputs[0]]
        results = [self.value((start + i, k)).type for i, k in plan.outputs]
        function = ir.Operation.create(
            "func.func",
            attributes={
                "sym_name": ir.StringAttr.get(name),
                "sym_visibility": ir.StringAttr.get("private"),
                "function_type": ir.TypeAttr.get(ir.FunctionType.get(inputs, results)),
                OUTLINED: ir.UnitAttr.get(),
            },
            regions=1,
            loc=where,
            ip=ir.InsertionPoint(self.code.step.block),
        )
        block = ir.Block.create_at_start(function.regions[0], inputs, [where] * len(inputs))
        new = self._fill(block, plan)
        for offset in slots:
            _set_slot(new[offset], slots.index(offset))
        returned = [new[i].results[k] for i, k in plan.outputs]
        ip = ir.InsertionPoint(block)
        ir.Operation.create("func.return", operands=returned, loc=where, ip=ip)

    def _fill(self, block: ir.Block, plan: _Plan) -> list[ir.Operation]:
        """Copies the stretch into `block`; returns the copies."""
        point, start = ir.InsertionPoint(block), plan.stretch.starts[0]
        own: dict[Place, ir.Value] = {}
        for place in dict.fromkeys(read for read in plan.reads if isinstance(read, tuple)):
            own[place] = self.operation(place[0]).clone(ip=point).results[0]
        reads = iter(plan.reads)
        new: list[ir.Operation] = []
        for position in range(start, start + plan.stretch.period):
            copy = self.operation(position).clone(ip=point).operation
            places = self.code.operands[position]
            for (inner, number, _), place in zip(list(outer_uses(copy)), places, strict=True):
                if place[0] >= start:
                    inner.operands[number] = new[place[0] - start].results[place[1]]
                    continue
                read = next(reads)
                value = own[read] if isinstance(read, tuple) else block.arguments[read]
                inner.operands[number] = value
            new.append(copy)
        return new

    def erase(self) -> None:
        """Erases what is in functions now."""
        for op in reversed(self.dead):
            op.erase()
        self.dead = []


def _lines(op: ir.Operation) -> int:
    if not prints_regions(op):
        return 1
    blocks = [block for region in op.regions for block in region.blocks]
    return 1 + sum(1 + len(block.operations) for block in blocks)


def _own_attributes(op: ir.Operation) -> ir.Attribute:
    found = {key: op.attributes[key] for key in op.attributes if key.startswith(PREFIX)}
    return ir.DictAttr.get(found)


def _set_slot(op: ir.Operation, number: int) -> None:
    for key in [key for key in op.attributes if key.startswith(PREFIX)]:
        del op.attributes[key]
    op.attributes[SLOT] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)
