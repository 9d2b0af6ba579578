"""What is alive when: saved activations and the peak of temporaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import prod
from typing import Generic, TypeVar

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
FREE = frozenset({"tensor.empty", "linalg.fill", "arith.constant"})


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
            if producer is not None and producer in forward and producer.name not in FREE:
                found.setdefault(root)
    return list(found)


T = TypeVar("T")


@dataclass(frozen=True)
class Access(Generic[T]):
    """What one operation does to memory: storages read, and those made, with their bytes.

    `overwrites` says that it may write onto a storage that nobody reads any more.
    """

    reads: tuple[T, ...]
    makes: Mapping[T, int]
    overwrites: bool


def alive_bytes(accesses: Sequence[Access[T]]) -> list[int]:
    """Returns, for each operation, the bytes of temporaries that are alive while it runs.

    Temporaries are what some access makes. Each has a buffer of its own from there to its last use,
    except that an operation writes onto an operand that dies there if it is large enough. Fusion
    only lowers this.
    """
    last: dict[T, int] = {}
    for number, access in enumerate(accesses):
        last |= dict.fromkeys([*access.reads, *access.makes], number)
    deaths: dict[int, list[T]] = {}
    for storage_, number in last.items():
        deaths.setdefault(number, []).append(storage_)
    sizes: dict[T, int] = {}
    alive, found = 0, []
    for number, access in enumerate(accesses):
        sizes |= access.makes
        fresh = sum(access.makes.values())
        dying = [sizes[storage_] for storage_ in deaths.get(number, ()) if storage_ in sizes]
        reused = fresh if access.overwrites and fresh <= max(dying, default=0) else 0
        found.append(alive + fresh - reused)
        alive += fresh - sum(dying)
    return found


def peak_temporaries(step: ir.Operation) -> int:
    """Returns the most bytes of temporaries of `step` that are alive at once."""
    return max(alive_temporaries(step), default=0)


def alive_temporaries(step: ir.Operation, apart: AbstractSet[ir.Value] = frozenset()) -> list[int]:
    """Returns what `alive_bytes` does of a step, but for the storages in `apart`.

    Updates of weights and states always happen in place.
    """
    accesses: list[Access[ir.Value]] = []
    for op in step_ir.operations(step):
        reads = tuple(storage(value) for value in _tensors(used_values(op)))
        results: list[ir.Value] = list(op.results) if makes_storage(op) else []
        makes = {result: bytes_of(result) for result in results if result not in apart}
        accesses.append(Access(reads, makes, op.name == "linalg.generic"))
    return alive_bytes(accesses)


def makes_storage(op: ir.Operation) -> bool:
    """Whether `op` needs memory for its results: it makes no view, nor writes onto an argument."""
    if op.name in VIEWS or op.name in FREE or op.name == "ssft.update":
        return False
    producer: ir.Operation | None = op
    while producer is not None and producer.name in _DESTINATION:
        producer = step_ir.owner(storage(producer.operands[_DESTINATION[producer.name]]))
    return producer is not None


_DESTINATION = {"tensor.insert_slice": 1, "ssft.scatter": 0}
"""Operations that change an operand, and its number."""


def _tensors(values: Iterable[ir.Value]) -> list[ir.Value]:
    return [value for value in values if isinstance(value.type, ir.RankedTensorType)]
