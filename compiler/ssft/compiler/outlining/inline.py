"""From calls back to the operations that they stand for."""

from __future__ import annotations

from collections.abc import Iterator

from ssft.compiler.analysis.step import OUTLINED
from ssft.compiler.diagnostics import UserError
from ssft.compiler.outlining.form import SLOT, SLOTS, is_shared, shared_key
from ssft.compiler.plan_schema import find_step
from ssft.dialects import new_context
from ssft.dialects._mlir import ir


def parse_flat(text: str) -> ir.Module:
    """Parses a plan in a context of its own; what was outlined is back in ``@step``.

    Whoever needs more of a plan than its signature reads it with this.

    Raises:
        ir.MLIRError: the text is malformed.
        UserError: what was outlined cannot be inlined.
    """
    module = ir.Module.parse(text, new_context())
    inline_layers(module)
    return module


def inline_layers(module: ir.Module | ir.Operation) -> int:
    """Replaces calls in ``@step`` by what the outlined functions do; returns how many there were.

    The functions are gone afterwards. Operations have the locations that they have in functions; a
    constant that ``@step`` has, too, becomes that one.

    Raises:
        UserError: a function is not straight-line code, or a call does not fit it.
    """
    functions = {_symbol(function): function for function in _functions(module.operation)}
    if not functions:
        return 0
    with module.context:
        for name, function in functions.items():
            _check(name, function, functions)
        step = find_step(module)
        operations = [op.operation for op in step.regions[0].blocks[0].operations]
        called = [_callee(op) for op in operations]
        calls = [number for number, name in enumerate(called) if name in functions]
        for op in operations:
            if len(op.regions):
                _check_calls(op, f"'{op.name}' in the step", functions)
        constants = _Constants(step, operations[: calls[0]] if calls else operations)
        extra = {name: constants.shared_by(function) for name, function in functions.items()}
        for number in calls:
            name = str(called[number])
            _inline(operations[number], functions[name], extra[name])
        for function in functions.values():
            function.erase()
    return len(calls)


def _functions(module: ir.Operation) -> Iterator[ir.Operation]:
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "func.func" and OUTLINED in op.attributes:
            yield op.operation


def _symbol(function: ir.Operation) -> str:
    return ir.StringAttr(function.attributes["sym_name"]).value


def _callee(op: ir.Operation) -> str | None:
    if op.name != "func.call":
        return None
    return ir.FlatSymbolRefAttr(op.attributes["callee"]).value


def _check(name: str, function: ir.Operation, functions: dict[str, ir.Operation]) -> None:
    """Raises a UserError unless `function` can be inlined."""
    blocks = list(function.regions[0].blocks)
    if len(blocks) != 1:
        raise UserError(
            f"function '@{name}' has {len(blocks)} blocks",
            notes=["what is outlined from a step is straight-line code: one block"],
        )
    *_, end = (op.operation for op in blocks[0].operations)
    if end.name != "func.return":
        raise UserError(f"function '@{name}' ends in '{end.name}', not in 'func.return'")
    for op in blocks[0].operations:
        _check_calls(op.operation, f"function '@{name}'", functions)


def _check_calls(op: ir.Operation, where: str, functions: dict[str, ir.Operation]) -> None:
    """Raises a UserError if `op` is or holds a call of an outlined function."""

    found: list[str] = []  # what a callback of `walk` raises is not passed on

    def look(inner: ir.Operation) -> ir.WalkResult:
        callee = _callee(inner.operation)
        if callee in functions:
            found.append(str(callee))
        return ir.WalkResult.ADVANCE

    op.walk(look)
    if found:
        raise UserError(
            f"{where} calls '@{found[0]}'",
            notes=["what is outlined from a step is called by the step alone, in its block"],
        )


class _Constants:
    """The constants of ``@step`` that stand before all calls."""

    def __init__(self, step: ir.Operation, before: list[ir.Operation]) -> None:
        self._block = step.regions[0].blocks[0]
        self._known: dict[object, ir.Value] = {}
        for op in before:
            if is_shared(op):
                self._known.setdefault(shared_key(op), op.results[0])

    def shared_by(self, function: ir.Operation) -> list[ir.Value]:
        """Makes arguments of a function's constants; returns the values to pass for them."""
        block = function.regions[0].blocks[0]
        own = [op.operation for op in block.operations if is_shared(op.operation)]
        values = [self._value(op) for op in own]
        for op in own:
            argument = block.add_argument(op.results[0].type, op.location)
            op.results[0].replace_all_uses_with(argument)
            op.erase()
        return values

    def _value(self, op: ir.Operation) -> ir.Value:
        key = shared_key(op)
        if key not in self._known:
            copy = op.clone(ip=ir.InsertionPoint.at_block_begin(self._block))
            self._known[key] = copy.operation.results[0]
        return self._known[key]


def _inline(call: ir.Operation, function: ir.Operation, extra: list[ir.Value]) -> None:
    """Puts the operations of `function` in the place of `call`."""
    copy = function.clone().operation
    block = copy.regions[0].blocks[0]
    for argument, value in zip(block.arguments, [*call.operands, *extra], strict=True):
        argument.replace_all_uses_with(value)
    *operations, end = [op.operation for op in block.operations]
    slots = _slots(call)
    wanted = sum(SLOT in op.attributes for op in operations)
    if len(slots) > wanted:
        raise UserError(
            f"a call of '@{_callee(call)}' has {len(slots)} entries in '{SLOTS}', "
            f"and the function asks for {wanted}"
        )
    for op in operations:
        if SLOT in op.attributes:
            _fill_slot(op, call, slots)
        op.move_before(call)
    for result, value in zip(call.results, list(end.operands), strict=True):
        result.replace_all_uses_with(value)
    call.erase()
    copy.erase()


def _slots(call: ir.Operation) -> list[ir.DictAttr]:
    """The attributes that a call brings along, one dictionary for each operation that has some."""
    if SLOTS not in call.attributes:
        return []
    attribute = call.attributes[SLOTS]
    entries = list(attribute) if isinstance(attribute, ir.ArrayAttr) else [attribute]
    for entry in entries:
        if not isinstance(entry, ir.DictAttr):
            raise UserError(
                f"'{SLOTS}' of a call of '@{_callee(call)}' holds no dictionary: {entry}"
            )
        for named in entry:
            if not named.name.startswith("ssft."):
                raise UserError(
                    f"'{SLOTS}' of a call of '@{_callee(call)}' names '{named.name}'",
                    notes=["what differs between calls are attributes 'ssft.…'"],
                )
    return entries  # type: ignore[return-value]


def _fill_slot(op: ir.Operation, call: ir.Operation, slots: list[ir.DictAttr]) -> None:
    attribute = op.attributes[SLOT]
    number = attribute.value if isinstance(attribute, ir.IntegerAttr) else -1
    if not 0 <= number < len(slots):
        raise UserError(
            f"a call of '@{_callee(call)}' has {len(slots)} entries in '{SLOTS}', "
            f"and the function asks for number {attribute}"
        )
    del op.attributes[SLOT]
    for entry in slots[number]:
        op.attributes[entry.name] = entry.attr
