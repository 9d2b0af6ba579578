"""Lists all operations of a step that cannot be lowered, in one message."""

from __future__ import annotations

import operator
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import fx

from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.compiler.frontend.locations import source_location
from ssft.dialects._mlir import PassManager, ir

_MAX_LINES = 5
_MAX_ATTEMPTS = 50
_FILE = re.compile(r'"([^"<][^"]*)":(\d+):\d+')
_ILLEGAL = re.compile(r"failed to legalize operation '([\w.]+)'")

# torch-mlir's conversion of these dies on some operands; what we lower ourselves is gone by then.
_CRASHING = {torch.ops.aten.scatter, torch.ops.aten.topk, torch.ops.aten.index_put}

Found = tuple[str, SourceLocation | None]


def _refuse(found: Sequence[Found]) -> None:
    """Raises a `UserError` for the (operation, location) pairs in `found`, if there are any."""
    if not found:
        return
    lines: dict[str, Counter[str]] = defaultdict(Counter)
    for name, location in found:
        lines[name][str(location) if location else "unknown line"] += 1
    counts = [f"{name} ({sum(places.values())})" for name, places in lines.items()]
    notes = []
    for name, places in lines.items():
        shown = [f"{place} ({count})" for place, count in list(places.items())[:_MAX_LINES]]
        if len(places) > _MAX_LINES:
            shown.append(f"and {len(places) - _MAX_LINES} more lines")
        notes.append(f"{name} at {', '.join(shown)}")
    notes.append("write these with other tensor operations, or detach the part from the step")
    plural = "operation" if len(counts) == 1 else "operations"
    first = next((location for _, location in found if location), None)
    raise UserError(f"unsupported {plural}: {', '.join(counts)}", first, notes)


def refuse_untraceable(graph: fx.Graph) -> None:
    """Refuses what cannot be imported: control-flow operators and random draws we do not know."""
    found: list[Found] = []
    for node in graph.nodes:
        if node.op != "call_function" or node.target is operator.getitem:
            continue
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            found.append((str(target), source_location(node)))
        elif torch.Tag.nondeterministic_seeded in target.tags or target.overloadpacket in _CRASHING:
            found.append((_aten_name(target), source_location(node)))
    _refuse(found)


def _aten_name(target: torch._ops.OpOverload) -> str:
    return target._schema.name.replace("::", ".")


def refuse_unknown_operators(module: ir.Module) -> None:
    """Refuses operations that the importer could only wrap as an opaque ``torch.operator``."""
    found: list[Found] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == "torch.operator":
            name = ir.StringAttr(op.attributes["name"]).value.removeprefix("torch.")
            found.append((name, _location(op.location)))
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    _refuse(found)


def refuse_leftovers(
    module: ir.Module, dialects: tuple[str, ...], allowed: tuple[str, ...] = ()
) -> None:
    """Refuses operations whose name starts with one of `dialects` and with none of `allowed`."""
    found: list[Found] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name.startswith(dialects) and not (allowed and op.name.startswith(allowed)):
            if op.name.endswith(".yield"):
                return ir.WalkResult.ADVANCE
            found.append((op.name.removeprefix("torch."), _location(op.location)))
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    _refuse(found)


def convert_or_refuse(module: ir.Module, pipelines: Sequence[str]) -> None:
    """Runs `pipelines` on `module`; if one rejects an operation, finds all that would be rejected.

    A conversion stops at the first operation that it cannot handle. To find the others, operations
    of that name are replaced by placeholders in a copy, until the copy converts.
    """
    text = module.operation.get_asm(enable_debug_info=True)
    try:
        _run_all(module, pipelines)
        return
    except ir.MLIRError as error:
        rejected = _rejected(error)
        if rejected is None:
            raise
    found: list[Found] = []
    for _ in range(_MAX_ATTEMPTS):
        with module.context, ir.Location.unknown():
            copy = ir.Module.parse(text)
        places = _blank_out(copy, rejected)
        if not places:
            break
        found += [(rejected.removeprefix("torch."), place) for place in places]
        text = copy.operation.get_asm(enable_debug_info=True)
        try:
            _run_all(copy, pipelines)
            break
        except ir.MLIRError as error:
            rejected = _rejected(error)
            if rejected is None:
                break
    _refuse(found or [(rejected or "unknown operation", None)])


def _run_all(module: ir.Module, pipelines: Sequence[str]) -> None:
    with module.context:
        for pipeline in pipelines:
            PassManager.parse(pipeline).run(module.operation)


def _rejected(error: ir.MLIRError) -> str | None:
    match = _ILLEGAL.search(str(error))
    return match.group(1) if match else None


def _blank_out(module: ir.Module, name: str) -> list[SourceLocation | None]:
    """Replaces the operations called `name` by constants; returns where they were."""
    victims: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == name:
            victims.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    places = []
    for op in victims:
        places.append(_location(op.location))
        with ir.InsertionPoint(op), op.location:
            for result in op.results:
                opaque = ir.Operation.create("torch.ssft_unsupported", [result.type])
                result.replace_all_uses_with(opaque.result)
        op.erase()
    return places


def _location(location: ir.Location) -> SourceLocation | None:
    """Returns the innermost file and line of an MLIR location."""
    match = _FILE.search(str(location))
    return SourceLocation(match.group(1), int(match.group(2))) if match else None
