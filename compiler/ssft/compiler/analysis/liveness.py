"""What is alive when: saved activations and the peak of temporaries."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from math import prod

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.phases import forward_operations, used_values
from ssft.compiler.plan_schema import item_bytes
from ssft.dialects._mlir import ir

# Results that share their operand's storage, as PyTorch's views do.
VIEWS = frozenset(
    {
        "ssft.barrier",
        "tensor.expand_shape",
        "tensor.collapse_shape",
        "tensor.extract_slice",
        "tensor.cast",
        "linalg.transpose",
    }
)

# Alike everywhere, or known at compile time: nothing that a step would have to keep.
_FREE = frozenset({"tensor.empty", "linalg.fill", "arith.constant"})


def bytes_of(value: ir.Value) -> int:
    """Returns the size of a tensor value in bytes; 0 for anything else."""
    if not isinstance(value.type, ir.RankedTensorType):
        return 0
    type_ = ir.RankedTensorType(value.type)
    return prod(type_.shape) * item_bytes(str(type_.element_type))


def storage(value: ir.Value) -> ir.Value:
    """Returns the value whose storage `value` is a view of."""
    producer = step_ir.owner(value)
    while producer is not None and producer.name in VIEWS:
        value = producer.operands[0]
        producer = step_ir.owner(value)
    return value


def saved_activations(
    step: ir.Operation, forward: set[ir.Operation] | None = None
) -> list[ir.Value]:
    """Returns the storages that the forward pass computes and the rest of the step reads.

    A view of a storage keeps all of it, as in PyTorch; each storage is listed once, in the order of
    its definition. The handles are valid until the IR changes.
    """
    forward = forward_operations(step) if forward is None else forward
    found: dict[ir.Value, None] = {}
    for op in step_ir.operations(step):
        if op in forward or op.name == "func.return":
            continue
        for value in used_values(op):
            root = storage(value)
            producer = step_ir.owner(root)
            if producer is not None and producer in forward and producer.name not in _FREE:
                found.setdefault(root)
    return list(found)


def peak_temporaries(step: ir.Operation) -> int:
    """Returns the most bytes of temporaries that are alive at once, executing op by op.

    See `alive_temporaries`.
    """
    return max(alive_temporaries(step), default=0)


def alive_temporaries(step: ir.Operation, apart: AbstractSet[ir.Value] = frozenset()) -> list[int]:
    """Returns, for each operation, the bytes of temporaries that are alive while it runs.

    Every result that is not a view has a buffer of its own from its definition to its last use,
    except that an operation writes onto an operand that dies there if they have the same size (the
    updates of weights and states always do). Fusion only lowers this. Storages in `apart` are not
    counted.
    """
    last_use = _last_uses(step)
    arguments = set(step_ir.body(step).arguments)
    alive, found = 0, []
    for number, op in enumerate(step_ir.operations(step)):
        counted = op.name not in VIEWS | _FREE
        fresh = sum(bytes_of(r) for r in op.results if counted and r not in apart)
        if op.name == "ssft.update" or (
            op.name in _IN_PLACE and storage(op.operands[-1]) in arguments
        ):
            fresh = 0
        dying = [root for root in last_use.get(number, ()) if root not in apart]
        reusable = max((bytes_of(root) for root in dying), default=0)
        reused = fresh if 0 < fresh <= reusable and op.name == "linalg.generic" else 0
        found.append(alive + fresh - reused)
        alive += fresh - sum(bytes_of(root) for root in dying)
    return found


_IN_PLACE = frozenset({"tensor.insert_slice", "ssft.scatter"})


def _last_uses(step: ir.Operation) -> dict[int, list[ir.Value]]:
    """Maps operation numbers to the storages of temporaries that die there."""
    last: dict[ir.Value, int] = {}
    for number, op in enumerate(step_ir.operations(step)):
        for value in _tensors(used_values(op)):
            last[storage(value)] = number
        for result in _tensors(op.results):
            last.setdefault(storage(result), number)
    deaths: dict[int, list[ir.Value]] = {}
    for root, number in last.items():
        producer = step_ir.owner(root)
        if producer is not None and producer.name not in _FREE | {"ssft.update"}:
            deaths.setdefault(number, []).append(root)
    return deaths


def _tensors(values: Iterable[ir.Value]) -> list[ir.Value]:
    return [value for value in values if isinstance(value.type, ir.RankedTensorType)]
