"""From the bufferized ``@step`` to a `Schedule`: what each operation becomes.

* View operations move no data: they only say where in a buffer an array lies.
* ``memref.alloc`` is a temporary, ``memref.get_global`` a constant, both are buffers.
* A ``linalg.fill`` waits for the operation that uses the filled array and joins its kernel.
* A contraction goes to a GEMM provider.
* Runs of scalar operations become one kernel; their results live in 8-byte buffers.
* Everything else (``linalg`` and ``scf`` operations, copies) is a kernel of its own.

Kernels are outlined by `ssft.compiler.backends.cpu.outline` and equal ones are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssft.compiler.analysis.contractions import indexing_maps, is_multiply_accumulate
from ssft.compiler.analysis.forms import fills_with_zeros, is_fill
from ssft.compiler.analysis.step import owner
from ssft.compiler.backends.cpu import gemm
from ssft.compiler.backends.cpu.constants import constant_bytes
from ssft.compiler.backends.cpu.gemm.packing import WORTHWHILE, packings
from ssft.compiler.backends.cpu.layout import Layout, layout_of, row_major
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.outline import Outliner
from ssft.compiler.backends.cpu.schedule import Buffer, Call, Operand, Schedule
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import StepSignature, find_step
from ssft.dialects._mlir import ir

_VIEWS = frozenset(
    f"memref.{name}"
    for name in ("subview", "expand_shape", "collapse_shape", "cast", "reinterpret_cast")
)
_SCALAR_DIALECTS = ("arith", "math", "index")


@dataclass(frozen=True)
class Place:
    """Where an array lies: in which buffer, and how; no `layout` if the offset is dynamic."""

    buffer: int
    layout: Layout | None


def build_schedule(
    module: ir.Module, signature: StepSignature, options: CpuOptions, locations: bool = False
) -> Schedule:
    """Builds the schedule of the bufferized ``@step`` in `module`."""
    scheduler = _Scheduler(module, signature, options, locations)
    _hoist_allocations(scheduler.block)
    for op in list(scheduler.block.operations):
        scheduler.visit(op.operation)
    scheduler.flush_scalars()
    return scheduler.schedule


def _hoist_allocations(block: ir.Block) -> None:
    """Moves allocations out of loops, so that they become temporaries like all others."""
    for op in list(block.operations):
        found: list[ir.Operation] = []

        def collect(inner: ir.Operation, found: list[ir.Operation] = found) -> ir.WalkResult:
            if inner.name == "memref.alloc" and not inner.operands:
                found.append(inner)
            return ir.WalkResult.ADVANCE

        for region in op.operation.regions:
            for inner_block in region.blocks:
                for inner in inner_block.operations:
                    inner.operation.walk(collect)
        for allocation in found:
            allocation.move_before(op.operation)


class _Scheduler:
    def __init__(
        self, module: ir.Module, signature: StepSignature, options: CpuOptions, locations: bool
    ) -> None:
        self.options, self.signature, self.locations = options, signature, locations
        self.schedule = Schedule()
        self.outliner = Outliner(self.schedule.kernels, options)
        self.places: dict[ir.Value, Place] = {}
        self.fills: dict[int, ir.Operation] = {}  # buffer -> fill that is still to be done
        self.scalars: list[ir.Operation] = []  # scalar operations that are still to be done
        self.globals = {
            op.operation.attributes["sym_name"].value: op.operation
            for op in module.body.operations
            if op.operation.name == "memref.global"
        }
        self.constants: dict[str, int] = {}
        self.block = find_step(module).regions[0].blocks[0]
        for argument in self.block.arguments:
            layout = layout_of(argument.type)
            assert layout is not None
            number = self._buffer(Buffer("argument", layout.span, argument.arg_number))
            self.places[argument] = Place(number, layout)

    def visit(self, op: ir.Operation) -> None:
        """Accounts for one operation of the step."""
        if op.name in _VIEWS:
            source = self.places[op.operands[0]]
            self.places[op.results[0]] = Place(source.buffer, layout_of(op.results[0].type))
        elif op.name == "memref.alloc":
            self._allocate(op)
        elif op.name == "memref.get_global":
            self._constant(op)
        elif op.name in ("arith.constant", "memref.dealloc", "memref.global"):
            pass
        elif self._is_scalar(op):
            self.scalars.append(op)
        else:
            self.flush_scalars()
            self._compute(op)

    def flush_scalars(self) -> None:
        """Schedules the scalar operations met since the last kernel, as one kernel."""
        run, self.scalars = self.scalars, []
        if run:
            for value in self.outliner.escaping(run):
                self.places[value] = Place(self._buffer(Buffer("temporary", 8)), None)
            self._kernel(run)

    def _compute(self, op: ir.Operation) -> None:
        if op.name == "func.return":
            self._return(op)
        elif op.name == "memref.copy":
            self._copy(self.places[op.operands[0]], self.places[op.operands[1]], op)
        elif is_fill(op) and owner(op.operands[len(op.operands) - 1]) is not None:
            self._defer_fill(op)
        elif op.name.startswith("linalg.") or op.name.startswith("scf."):
            self._linalg(op)
        else:
            raise UserError(
                f"'{op.name}' cannot be compiled for the CPU",
                str(op.location),
                ["operations must lower to linalg, tensor, arith, math or scf"],
            )

    def _linalg(self, op: ir.Operation) -> None:
        target = self._target(op)
        fill = self.fills.get(target.buffer) if target else None
        merged = fill is not None and op.name.startswith("linalg.") and self._fills(fill, op)
        touched = self._touched([op])
        for buffer in sorted(touched & set(self.fills)):
            if not (merged and target and buffer == target.buffer):
                self._kernel([self.fills.pop(buffer)])
        if merged and target:
            del self.fills[target.buffer]
        operations = [fill, op] if merged and fill is not None else [op]
        if not self._product(op, fill if merged else None):
            self._kernel(operations)

    def _target(self, op: ir.Operation) -> Place | None:
        """Where the only output of `op` lies, if `op` is a linalg operation with one."""
        if not op.name.startswith("linalg.") or len(op.regions) == 0:
            return None
        sizes = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
        return self.places[op.operands[sizes[0]]] if sizes[1] == 1 else None

    def _fills(self, fill: ir.Operation, op: ir.Operation) -> bool:
        """Whether `fill` fills exactly the output of `op`, and `op` reads it in no other way."""
        filled = self.places[fill.operands[len(fill.operands) - 1]]
        *inputs, output = op.operands
        buffers = [
            self.places[v].buffer for v in inputs if v in self.places and v != fill.operands[0]
        ]
        return self.places[output] == filled and filled.buffer not in buffers

    def _product(self, op: ir.Operation, fill: ir.Operation | None) -> bool:
        """Schedules `op` as a matrix product if it is one and a provider takes it."""
        maps = indexing_maps(op) if _contracts(op) else None
        layouts = [self.places[v].layout for v in op.operands] if maps else []
        if not maps or any(layout is None for layout in layouts):
            return False
        if fill is not None and not fills_with_zeros(fill):
            return False
        arrays = [layout for layout in layouts if layout is not None]
        work = gemm.product_of(maps, arrays, fill is None).multiplications
        for chosen, wanted in packings(maps, arrays):
            if chosen and work < WORTHWHILE:
                return False
            name = self._product_kernel(maps, wanted, accumulate=fill is None)
            if name is not None:
                self._call_packed(name, op, chosen, wanted, fill is None)
                return True
        return False

    def _product_kernel(
        self, maps: Sequence[tuple[int, ...]], layouts: Sequence[Layout], accumulate: bool
    ) -> str | None:
        """The name of a provider's kernel for a contraction of arrays laid out like this."""
        product = gemm.product_of(maps, layouts, accumulate)
        types = tuple(layout.type_text() for layout in layouts)
        key = f"{product} {types}"
        if key not in self.outliner.names:
            name = f"gemm_{len(self.schedule.kernels)}"
            kernel = gemm.emit(self.options, name, product, types)
            if kernel is None:
                return None
            self.outliner.names[key] = name
            self.schedule.kernels[name] = replace(kernel, flops=2 * product.multiplications)
        return self.outliner.names[key]

    def _call_packed(
        self,
        name: str,
        op: ir.Operation,
        chosen: Sequence[int],
        layouts: Sequence[Layout],
        accumulate: bool,
    ) -> None:
        """Calls a matrix product, on copies of the operands that `chosen` names."""
        places = [self.places[value] for value in op.operands]
        target = places[2]
        for number in chosen:
            buffer = self._buffer(Buffer("temporary", layouts[number].span))
            copy = Place(buffer, layouts[number])
            if number != 2 or accumulate:
                self._copy(places[number], copy, op)
            places[number] = copy
        written = (False, False, True)
        operands = [self._operand(p, w) for p, w in zip(places, written, strict=True)]
        self._call(name, [*operands, *self._workspace(name)], op)
        self._copy(places[2], target, op)

    def _kernel(self, operations: Sequence[ir.Operation]) -> None:
        """Schedules `operations` as one call of an outlined kernel."""
        for buffer in sorted(self._touched(operations) & set(self.fills)):
            self._kernel([self.fills.pop(buffer)])
        found = self.outliner.parameters(operations, self.places)
        operands = [
            self._operand(self.places[p.value], p.written, p.scalar, p.from_start) for p in found
        ]
        aliased = [
            any(
                i != j and a.overlaps(b) and (a.written or b.written)
                for j, b in enumerate(operands)
            )
            for i, a in enumerate(operands)
        ]
        name = self.outliner.outline(operations, found, aliased)
        self._call(name, [*operands, *self._workspace(name)], operations[-1])

    def _workspace(self, kernel: str) -> list[Operand]:
        """Scratch memory for a call of `kernel`, if it needs any."""
        size = self.schedule.kernels[kernel].workspace
        if not size:
            return []
        return [Operand(self._buffer(Buffer("temporary", size)), 0, size, True)]

    def _call(self, name: str, operands: list[Operand], op: ir.Operation) -> None:
        note = str(op.location) if self.locations else op.name
        self.schedule.calls.append(Call(name, tuple(operands), note))

    def _operand(
        self, place: Place, written: bool, scalar: bool = False, from_start: bool = False
    ) -> Operand:
        size = self.schedule.buffers[place.buffer].bytes
        if scalar or place.layout is None:
            return Operand(place.buffer, 0, size, written)
        if from_start:
            end = place.layout.byte_offset + place.layout.span
            return Operand(place.buffer, 0, end, written)
        return Operand(place.buffer, place.layout.byte_offset, place.layout.span, written)

    def _touched(self, operations: Sequence[ir.Operation]) -> set[int]:
        return {
            self.places[value].buffer
            for value in self.outliner.external(operations)
            if value in self.places
        }

    def _is_scalar(self, op: ir.Operation) -> bool:
        if op.name in ("memref.load", "memref.store"):
            return True
        return op.name.split(".")[0] in _SCALAR_DIALECTS

    def _buffer(self, buffer: Buffer) -> int:
        self.schedule.buffers.append(buffer)
        return len(self.schedule.buffers) - 1

    def _allocate(self, op: ir.Operation) -> None:
        layout = layout_of(op.results[0].type)
        if layout is None:
            raise UserError(f"'{op.name}' has a size that is known only at run time")
        self.places[op.results[0]] = Place(self._buffer(Buffer("temporary", layout.span)), layout)

    def _constant(self, op: ir.Operation) -> None:
        name = op.attributes["name"].value
        if name not in self.constants:
            data = constant_bytes(self.globals[name].attributes["initial_value"])
            self.constants[name] = self._buffer(Buffer("constant", len(data), data=data))
        layout = layout_of(op.results[0].type)
        self.places[op.results[0]] = Place(self.constants[name], layout)

    def _defer_fill(self, fill: ir.Operation) -> None:
        target = self.places[fill.operands[len(fill.operands) - 1]]
        for buffer in sorted(self._touched([fill]) & set(self.fills)):
            self._kernel([self.fills.pop(buffer)])
        self.fills[target.buffer] = fill

    def _copy(self, source: Place, target: Place, op: ir.Operation) -> None:
        """Schedules the copy of one array to another."""
        if source == target:
            return
        assert source.layout is not None and target.layout is not None
        for buffer in sorted({source.buffer, target.buffer} & set(self.fills)):
            self._kernel([self.fills.pop(buffer)])
        operands = [self._operand(source, False), self._operand(target, True)]
        overlap = operands[0].overlaps(operands[1])
        name = self.outliner.copy(source.layout, target.layout, overlap)
        self._call(name, operands, op)

    def _return(self, op: ir.Operation) -> None:
        """Gives returned arrays to the caller: updates into arguments, others into results."""
        for buffer in sorted(self.fills):
            self._kernel([self.fills.pop(buffer)])
        given: set[int] = set()
        slot = 0
        for value, result in zip(op.operands, self.signature.results, strict=True):
            if result.updates_arg is not None:
                target = self.places[self.block.arguments[result.updates_arg]]
                self._copy(self.places[value], target, op)
                continue
            place = self.places[value]
            held = self.schedule.buffers[place.buffer]
            buffer = Buffer("result", result.bytes, slot)
            slot += 1
            # The first rows of a temporary start where it starts, but are not all of it.
            at = place.layout
            whole = at is not None and at.contiguous and not at.offset
            whole = whole and held.bytes == result.bytes
            if held.kind == "temporary" and whole and place.buffer not in given:
                given.add(place.buffer)
                self.schedule.buffers[place.buffer] = buffer
            else:
                layout = row_major(result.shape, result.dtype)
                self._copy(place, Place(self._buffer(buffer), layout), op)


def _contracts(op: ir.Operation) -> bool:
    """Whether `op` sums products of two arrays."""
    if not is_multiply_accumulate(op):
        return False
    if not all(isinstance(value.type, ir.MemRefType) for value in op.operands):
        return False
    return any("reduction" in str(kind) for kind in ir.ArrayAttr(op.attributes["iterator_types"]))
