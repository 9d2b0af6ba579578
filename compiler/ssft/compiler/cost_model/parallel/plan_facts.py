"""What the parallel account needs to know of a compiled plan, as plain data.

Everything is read from the step itself: which parameters train and how much of them, which
operations read them before and after the loss, what is kept between, and where few bytes cross from
one part of the forward pass to the next. No name means anything.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from ssft.compiler.analysis import cost
from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.liveness import VIEWS, bytes_of, saved_activations, storage
from ssft.compiler.analysis.phases import forward_operations, is_checkpointed, used_values
from ssft.compiler.cost_model.parallel.plan_blocks import Block, Blocks
from ssft.compiler.diagnostics import UserError
from ssft.compiler.outlining import parse_flat
from ssft.compiler.pipelines.collect import parse_error
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature, item_bytes, read_signature
from ssft.compiler.report import trainable_elements
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class PlanParameter:
    """A parameter or buffer: bytes as stored, bytes of its gradient, of its states.

    `index` is the number of the argument. `first` and `last` are the positions in the forward pass
    of the operations that read it first and last, -1 if none does. `backward`: an operation after
    the loss reads it, other than its update.
    """

    index: int
    name: str
    elements: int
    bytes: int
    gradients: int
    states: int
    first: int
    last: int
    backward: bool


@dataclass(frozen=True)
class PlanFacts:
    """A plan. `batch` are the bytes of the step's inputs, `peak` those of everything at its peak.

    Per position of the forward pass: `saved[i]` bytes that the operation produces and the backward
    pass reads; `work[i]` its operations in products; `crossing[i]` bytes that depend on parameters,
    are made at or before it and read after it. `blocks` are where tensor parallelism can split the
    step, if that was asked for; `saved_inside` and `work_inside` are what of `saved` and `work`
    lies inside of blocks.
    """

    name: str
    method: str
    parameters: tuple[PlanParameter, ...]
    trainable_parameters: int
    total_parameters: int
    flops: dict[str, int]
    saved: tuple[int, ...]
    work: tuple[int, ...]
    crossing: tuple[int, ...]
    peak: int
    blocks: tuple[Block, ...] = ()
    saved_inside: tuple[int, ...] = ()
    work_inside: tuple[int, ...] = ()


def read_plan(path: str | Path, *, blocks: bool = False) -> PlanFacts:
    """Reads a plan from a file, with its `blocks` if asked for.

    Raises UserError if the file is missing or not a plan.
    """
    return plan_facts(read_module(path), Path(path).stem, blocks=blocks)


def read_module(path: str | Path) -> ir.Module:
    """Reads the module of a plan, with a context of its own; UserError if there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read plan '{path}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError("not a plan: it is not text", str(path)) from None
    try:
        return parse_flat(text)
    except ir.MLIRError as error:
        raise parse_error(error, str(path), "not a plan: ") from None


def plan_facts(module: ir.Module, name: str, *, blocks: bool = False) -> PlanFacts:
    """Returns the facts of the plan in `module`; UserError if it has no ``@step``."""
    with module.context:
        signature = read_signature(module)
        step = step_ir.find_step(module.operation)
        operations = list(step_ir.operations(step))
        if any(is_checkpointed(op) for op in operations):
            raise UserError(
                f"plan '{name}' computes activations again, which parallel costs do not model",
                notes=["compile it with --checkpoint none"],
            )
        forward_set = forward_operations(step)
        forward = [op for op in operations if op in forward_set]
        position = {op: number for number, op in enumerate(forward)}
        parameters = tuple(
            _parameter(argument, signature, uses)
            for argument, uses in zip(
                signature.parameters, _uses(step, signature, position), strict=True
            )
        )
        split = Blocks(step, signature, position) if blocks else None
        saved, inside = [0] * len(forward), [0] * len(forward)
        for value in saved_activations(step, forward_set):
            producer = step_ir.owner(value)
            assert producer is not None, "an argument is no activation"
            saved[position[producer]] += bytes_of(value)
            if split and split.holds(value):
                inside[position[producer]] += bytes_of(value)
        products = [as_contraction(op) for op in forward]
        work = [product.flops if product else 0 for product in products]
        work_inside = [
            flops if split and flops and any(map(split.holds, [*op.operands, *op.results])) else 0
            for op, flops in zip(forward, work, strict=True)
        ]
        return PlanFacts(
            name,
            signature.method or "",
            parameters,
            sum(map(trainable_elements, signature.with_role("trainable"))),
            sum(a.elements for a in signature.parameters if not a.buffer),
            cost.flops(step),
            tuple(saved),
            tuple(work),
            _crossing(step, signature, forward, position),
            cost.memory_bytes(step)["peak"],
            split.found if split else (),
            tuple(inside),
            tuple(work_inside),
        )


def _parameter(
    argument: ArgumentInfo, signature: StepSignature, uses: tuple[int, int, bool]
) -> PlanParameter:
    trained = trainable_elements(argument) if argument.role == "trainable" else 0
    states = sum(
        state.bytes for parts in signature.states_of(argument.name).values() for state in parts
    )
    gradients = trained * item_bytes(argument.dtype)
    return PlanParameter(
        argument.index, argument.name, argument.elements, argument.bytes, gradients, states, *uses
    )


def _uses(
    step: ir.Operation, signature: StepSignature, position: dict[ir.Operation, int]
) -> list[tuple[int, int, bool]]:
    """Per parameter: first and last reader of the forward pass, and whether backward reads it.

    A view reads nothing; those who read the view do. An update reads its weight to replace it.
    """
    arguments: dict[ir.Value, int] = {
        step_ir.body(step).arguments[a.index]: a.index for a in signature.parameters
    }
    forward: dict[int, list[int]] = {}
    backward: set[int] = set()
    for op in step_ir.operations(step):
        if op.name in VIEWS or op.name in ("func.return", "ssft.update", "tensor.insert_slice"):
            continue
        for value in used_values(op):
            index = arguments.get(storage(value))
            if index is None:
                continue
            if op in position:
                forward.setdefault(index, []).append(position[op])
            else:
                backward.add(index)
    found = []
    for argument in signature.parameters:
        readers = forward.get(argument.index, [-1])
        found.append((min(readers), max(readers), argument.index in backward))
    return found


def _crossing(
    step: ir.Operation,
    signature: StepSignature,
    forward: list[ir.Operation],
    position: dict[ir.Operation, int],
) -> tuple[int, ...]:
    """Bytes alive between each position and the next that depend on parameters.

    What depends on the batch, buffers and constants alone, such as positions and masks, every stage
    makes itself.
    """
    arguments = step_ir.body(step).arguments
    tainted: set[ir.Value] = {arguments[a.index] for a in signature.parameters if not a.buffer}
    last: dict[ir.Value, int] = {}
    for number, op in enumerate(forward):
        values = used_values(op)
        if any(value in tainted for value in values):
            tainted.update(op.results)
        for value in values:
            root = storage(value)
            if value in tainted and step_ir.owner(root) in position:
                last[root] = number
    steps = [0] * (len(forward) + 1)
    for value, end in last.items():
        producer = step_ir.owner(value)
        assert producer is not None
        steps[position[producer]] += bytes_of(value)
        steps[end] -= bytes_of(value)
    return tuple(accumulate(steps[:-1]))


def cuts(facts: PlanFacts, stages: int) -> list[int]:
    """Returns after which positions of the forward pass to cut it into `stages` parts.

    Each cut lies where the fewest bytes cross, among the positions at which the share of work done
    is within half a stage of what would be even; the most even one of these. Raises UserError if
    there are no such positions for some cut.
    """
    total = sum(facts.work)
    done = list(accumulate(facts.work))
    found: list[int] = []
    for number in range(1, stages):
        target = total * number / stages
        lowest, highest = target - total / (2 * stages), target + total / (2 * stages)
        first = bisect_right(done, max(lowest, done[found[-1]] if found else 0))
        window = [i for i in range(first, len(done)) if lowest < done[i] < min(highest, total)]
        if not window:
            raise UserError(
                f"the step of '{facts.name}' cannot be cut into {stages} stages of like work",
                exit_code=2,
            )
        fewest = min(facts.crossing[i] for i in window)
        places = [i for i in window if facts.crossing[i] == fewest]
        found.append(min(places, key=lambda i: abs(done[i] - target)))
    return found
