"""A compiled plan as a step to stream: which segment reads what follows from its operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.cost import gradients, update_flops
from ssft.compiler.analysis.liveness import (
    VIEWS,
    alive_temporaries,
    bytes_of,
    saved_activations,
    storage,
)
from ssft.compiler.analysis.phases import forward_operations, used_values
from ssft.compiler.cost_model.parallel.plan_facts import read_module
from ssft.compiler.cost_model.streaming.step import Kind, Segment, Step, Tensor, Update
from ssft.compiler.plan_schema import StepSignature, item_bytes, read_signature
from ssft.compiler.report import trainable_elements
from ssft.dialects._mlir import ir

SMALLEST = 20_000
"""Tensors of less than this part of all bytes are not worth a transfer and stay on the device."""

_PARTS = frozenset({"tensor.extract_slice", "tensor.insert_slice", "ssft.gather", "ssft.scatter"})
"""Of a weight that trains these read or write what trains of it, behind the forward pass."""


@dataclass
class _Use:
    """A tensor while the operations are read: who uses it, and who changes it."""

    name: str
    kind: Kind
    bytes: float
    uses: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)


def read_step(path: Path) -> Step:
    """Returns the step of a plan's file; UserError if it is missing or not a plan."""
    return plan_step(read_module(path), path.stem)


def plan_step(module: ir.Module, name: str) -> Step:
    """Returns the step of a plan; UserError if it has no ``@step``.

    Arguments that the forward and backward pass read, states, saved activations and gradients are
    tensors. Of a weight that trains in part, what trains is a tensor of its own: the update needs
    no more. Everything else is a temporary and stays on the device.
    """
    with module.context:
        return _Reader(module, name).read()


class _Reader:
    """Reads one plan; only while its module is unchanged."""

    def __init__(self, module: ir.Module, name: str) -> None:
        self.name = name
        self.signature: StepSignature = read_signature(module)
        self.step = step_ir.find_step(module.operation)
        self.operations = list(step_ir.operations(self.step))
        self.forward = forward_operations(self.step)
        self.tensors: list[_Use] = []
        self.parts: dict[ir.Value, tuple[int, ...]] = {}
        self.trained: dict[ir.Value, int] = {}
        self.fixed = 0.0

    def read(self) -> Step:
        """Returns the step."""
        smallest = sum(a.bytes for a in self.signature.arguments) / SMALLEST
        self._arguments(smallest)
        updates = [op for op in self.operations if op.name == "ssft.update"]
        apart = [v for v in saved_activations(self.step, self.forward) if bytes_of(v) >= smallest]
        self._temporaries("activation", apart)
        roots = dict.fromkeys(storage(value) for op in updates for value in gradients(op))
        found = [v for v in roots if v not in self.parts and bytes_of(v) >= smallest]
        found = [v for v in found if (made := step_ir.owner(v)) and made not in self.forward]
        self._temporaries("gradient", found)
        alive = alive_temporaries(self.step, {*apart, *found})
        segments, where = self._segments(alive)
        for tensor in self.tensors:
            if not tensor.uses:
                # Nobody reads it, but the report counts it.
                self.fixed, tensor.bytes = self.fixed + tensor.bytes, 0.0
        method = self.signature.method or ""
        return Step(
            self.name,
            method,
            tuple(segments),
            tuple(
                Tensor(u.name, u.kind, u.bytes, tuple(sorted(u.uses)), tuple(sorted(u.written)))
                for u in self.tensors
            ),
            tuple(self._update(op, where[op]) for op in updates if self._tensor_of(op)),
            self.fixed,
        )

    def _arguments(self, smallest: float) -> None:
        for argument, value in zip(
            self.signature.arguments, step_ir.body(self.step).arguments, strict=True
        ):
            if argument.bytes < smallest or argument.role not in ("frozen", "trainable", "state"):
                self.fixed += argument.bytes
                continue
            trained = 0
            if argument.role == "trainable":
                trained = trainable_elements(argument) * item_bytes(argument.dtype)
                self.trained[value] = self._add(argument.name, "trainable", trained)
            kind: Kind = "state" if argument.role == "state" else "frozen"
            name = argument.name if kind == "frozen" else f"{argument.name}:{argument.state}"
            parts = [self.trained[value]] if trained else []
            if argument.bytes > trained:
                parts.append(self._add(name, kind, argument.bytes - trained))
            self.parts[value] = tuple(parts)

    def _temporaries(
        self, kind: Literal["activation", "gradient"], values: Iterable[ir.Value]
    ) -> None:
        for number, value in enumerate(values):
            self.parts[value] = (self._add(f"{kind} {number}", kind, bytes_of(value)),)

    def _add(self, name: str, kind: Kind, size: float) -> int:
        self.tensors.append(_Use(name, kind, size))
        return len(self.tensors) - 1

    def _used(self, op: ir.Operation) -> tuple[set[int], set[int]]:
        """Tensors that an operation uses, and those of them that it changes."""
        used: set[int] = set()
        written: set[int] = set()
        if op.name != "func.return":
            update = op.name == "ssft.update"
            for value in used_values(op):
                root = storage(value)
                behind = op not in self.forward and (update or op.name in _PARTS)
                if behind and root in self.trained:
                    used.add(self.trained[root])
                elif op.name not in VIEWS:
                    used.update(self.parts.get(root, ()))
            for value in op.results:
                made = self.parts.get(value, ())
                used.update(made)
                written.update(made)
            if update:
                weight, states, _ = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
                changed = list(op.operands)[: weight + states]
                written |= {n for v in changed for n in self._changed(storage(v)) if n in used}
        return used, written

    def _changed(self, root: ir.Value) -> tuple[int, ...]:
        return (self.trained[root],) if root in self.trained else self.parts.get(root, ())

    def _segments(self, alive: list[int]) -> tuple[list[Segment], dict[ir.Operation, int]]:
        """Cuts the operations where another tensor comes into use, and notes who uses what."""
        segments: list[Segment] = []
        where: dict[ir.Operation, int] = {}
        current: set[int] = set()
        for op, working in zip(self.operations, alive, strict=True):
            used, written = self._used(op)
            phase = "forward" if op in self.forward else "backward"
            if op.name == "ssft.update":
                phase = "update"
            flops = update_flops(op) if phase == "update" else 0
            product = as_contraction(op)
            flops += product.flops if product else 0
            if segments and used <= current and (phase == segments[-1].phase or not flops):
                last = segments.pop()
                segments.append(Segment(last.phase, last.flops + flops, max(last.working, working)))
            else:
                segments.append(Segment(phase, flops, working))
                current = used
            where[op] = number = len(segments) - 1
            for tensor in used:
                self.tensors[tensor].uses.add(number)
            for tensor in written:
                self.tensors[tensor].written.add(number)
        return segments, where

    def _tensor_of(self, update: ir.Operation) -> int | None:
        """The part of a weight that an update changes, unless it is too small to move."""
        root = storage(update.operands[0])
        producer = step_ir.owner(root)
        while root not in self.trained and producer is not None:
            root = storage(producer.operands[0])
            producer = step_ir.owner(root)
        return self.trained.get(root)

    def _update(self, op: ir.Operation, segment: int) -> Update:
        weight, states, _ = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
        operands = list(op.operands)
        target = self._tensor_of(op)
        assert target is not None
        return Update(
            segment,
            bytes_of(operands[0]) / item_bytes(str(operands[0].type.element_type)),
            tuple(n for v in gradients(op) for n in self.parts.get(storage(v), ())),
            tuple(
                n
                for v in operands[weight : weight + states]
                for n in self.parts.get(storage(v), ())
            ),
            target,
        )
