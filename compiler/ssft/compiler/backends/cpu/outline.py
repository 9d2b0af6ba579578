"""Outlining: operations on buffers become kernel functions, and equal kernels are one.

The text of a kernel depends only on what its operations compute, on the layouts of their operands
and on which of these may overlap, not on where in the step they stand. So the number of kernels
does not grow with the number of layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssft.compiler.backends.cpu import inner_products
from ssft.compiler.backends.cpu.layout import Layout, layout_of
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.schedule import Kernel
from ssft.compiler.passes.cpu_fuse_rows import INDEPENDENT
from ssft.dialects._mlir import ir

PARALLEL_WORK = 32768
"""Loop iterations from which on a kernel is split over threads."""


@dataclass(frozen=True)
class Parameter:
    """A buffer that a kernel takes: an array, or the 8-byte buffer of a scalar.

    With `from_start` the kernel's type says where in the buffer the array begins, and the kernel
    takes the address of the buffer; otherwise it takes that of the array's first element.
    """

    value: ir.Value
    type: str
    written: bool
    scalar: bool
    from_start: bool = False


class Outliner:
    """Turns operations into kernels; `names` maps what a kernel is to what it is called."""

    def __init__(self, kernels: dict[str, Kernel], options: CpuOptions) -> None:
        self.kernels = kernels
        self.options = options
        self.names: dict[str, str] = {}
        self._external: dict[tuple[ir.Operation, ...], list[ir.Value]] = {}

    def external(self, operations: Sequence[ir.Operation]) -> list[ir.Value]:
        """Values that `operations` use but do not define, in order of use.

        A view whose place is known only at run time is looked through to what it is a view of.
        """
        key = tuple(operations)
        if key not in self._external:
            self._external[key] = self._find_external(operations)
        return self._external[key]

    def _find_external(self, operations: Sequence[ir.Operation]) -> list[ir.Value]:
        inside: set[ir.Value] = set()
        found: dict[ir.Value, None] = {}
        for op in operations:
            for inner in _nested(op):
                for value in inner.operands:
                    if value not in inside:
                        found[value] = None
                inside.update(inner.results)
                for region in inner.regions:
                    for block in region.blocks:
                        inside.update(block.arguments)
        result: dict[ir.Value, None] = {}
        for value in found:
            if value not in inside:
                result.update(dict.fromkeys(self._look_through(value)))
        return list(result)

    def _look_through(self, value: ir.Value) -> list[ir.Value]:
        if not _is_dynamic_view(value):
            return [value]
        return [
            source for operand in value.owner.operands for source in self._look_through(operand)
        ]

    def escaping(self, operations: Sequence[ir.Operation]) -> list[ir.Value]:
        """Results of `operations` that other operations use."""
        members = {op for op in operations}
        return [
            result
            for op in operations
            for result in op.results
            if any(_outermost(use.owner, op) not in members for use in result.uses)
        ]

    def parameters(
        self, operations: Sequence[ir.Operation], places: Mapping[ir.Value, Any]
    ) -> list[Parameter]:
        """The buffers that a kernel made of `operations` takes."""
        keep_offsets = not all(op.name.startswith("linalg.") for op in operations)
        written = _written(operations)
        found = []
        for value in self.external(operations):
            if value not in places:
                continue  # a constant: goes into the kernel
            if isinstance(value.type, ir.MemRefType):
                layout = layout_of(value.type)
                assert layout is not None
                type_ = str(value.type) if keep_offsets else layout.type_text()
                is_written = written is None or value in written
                found.append(Parameter(value, type_, is_written, False, keep_offsets))
            else:
                found.append(Parameter(value, f"memref<{value.type}>", False, True))
        results = [v for v in self.escaping(operations) if v in places]
        found += [Parameter(v, f"memref<{v.type}>", True, True) for v in results]
        return found

    def outline(
        self,
        operations: Sequence[ir.Operation],
        parameters: Sequence[Parameter],
        aliased: Sequence[bool],
    ) -> str:
        """The name of the kernel that does `operations`, which is made if there is none yet."""
        arguments = [
            f"%a{i}: {p.type}" + ("" if overlaps else " {llvm.noalias}")
            for i, (p, overlaps) in enumerate(zip(parameters, aliased, strict=True))
        ]
        products = inner_products.find(operations, self.options)
        share = inner_products.workspace(products)
        scratch = share * _trips(operations[0]) if share else 0
        arguments += [f"%w: memref<{scratch}xi8>"] if scratch else []
        arguments += ["%lo: index", "%hi: index"]
        function = ir.Operation.parse(
            f"func.func private @kernel({', '.join(arguments)}) {{\nreturn\n}}",
            context=operations[0].context,
        )
        _fill_in(function, operations, parameters)
        if products:
            workspace = function.regions[0].blocks[0].arguments[len(parameters)]
            inner_products.insert_calls(
                function, self.options, workspace if scratch else None, share
            )
        text = function.get_asm(use_local_scope=True, assume_verified=True)
        if text not in self.names:
            name = f"kernel_{len(self.kernels)}"
            extent, splits = independent_loops(operations) if self.options.parallel else (0, ())
            self.names[text] = name
            named = text.replace("@kernel(", f"@{name}(", 1)
            self.kernels[name] = Kernel(
                name,
                named,
                len(parameters) + bool(scratch),
                extent,
                splits,
                inner_products.definitions(products),
                scratch,
                inner_products.flops(operations),
            )
        return self.names[text]

    def copy(self, source: Layout, target: Layout, overlap: bool) -> str:
        """The name of the kernel that copies between arrays of one shape."""
        types = (source.type_text(), target.type_text())
        noalias = "" if overlap else " {llvm.noalias}"
        arguments = ", ".join(f"%a{i}: {type_}{noalias}" for i, type_ in enumerate(types))
        body = f"linalg.copy ins(%a0 : {types[0]}) outs(%a1 : {types[1]})"
        text = f"@kernel({arguments}, %lo: index, %hi: index) {{\n{body}\nreturn\n}}"
        if text not in self.names:
            name = f"copy_{len(self.kernels)}"
            split = (
                self.options.parallel and source.shape and math.prod(source.shape) >= PARALLEL_WORK
            )
            named = "func.func private " + text.replace("@kernel", f"@{name}", 1)
            self.names[text] = name
            self.kernels[name] = (
                Kernel(name, named, 2, source.shape[0], (0,)) if split else Kernel(name, named, 2)
            )
        return self.names[text]


def _is_memref(value: ir.Value) -> bool:
    return isinstance(value.type, ir.MemRefType)


def _fill_in(
    function: ir.Operation,
    operations: Sequence[ir.Operation],
    parameters: Sequence[Parameter],
) -> None:
    """Copies `operations` into the empty `function`, on its arguments instead of `parameters`."""
    block = function.regions[0].blocks[0]
    end = ir.InsertionPoint(block.operations[0])
    mapping: dict[ir.Value, ir.Value] = {}
    with function.context, ir.Location.unknown():
        for parameter, argument in zip(parameters, block.arguments, strict=False):
            if not parameter.scalar:
                mapping[parameter.value] = argument
            elif not parameter.written:
                load = ir.Operation.create(
                    "memref.load", [ir.MemRefType(argument.type).element_type], [argument], ip=end
                )
                mapping[parameter.value] = load.results[0]
        for op in operations:
            _copy_in(op, end, mapping)
        for parameter, argument in zip(parameters, block.arguments, strict=False):
            if parameter.scalar and parameter.written:
                stored = [mapping[parameter.value], argument]
                ir.Operation.create("memref.store", operands=stored, ip=end)


def _copy_in(op: ir.Operation, end: ir.InsertionPoint, mapping: dict[ir.Value, ir.Value]) -> None:
    """Clones `op` with all that it contains, and the constants and views it needs."""
    inside: set[ir.Value] = set()
    for inner in _nested(op):
        inside.update(inner.results)
        for region in inner.regions:
            for block in region.blocks:
                inside.update(block.arguments)
    for inner in _nested(op):
        for value in inner.operands:
            if value not in mapping and value not in inside:
                _copy_in(value.owner.operation, end, mapping)
    clone = op.clone(ip=end)
    for inner in _nested(clone):
        for number, value in enumerate(inner.operands):
            if value in mapping:
                inner.operands[number] = mapping[value]
    for old, new in zip(op.results, clone.results, strict=True):
        mapping[old] = new


def _nested(op: ir.Operation) -> list[ir.Operation]:
    """`op` and all operations inside it, outer before inner."""
    found = [op]
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                found += _nested(inner.operation)
    return found


def _outermost(op: ir.Operation, like: ir.Operation) -> ir.Operation:
    """The ancestor of `op` that stands in the same block as `like`."""
    current = op.operation
    while current.block != like.block:
        parent = current.parent
        assert parent is not None, "the two operations have no common ancestor"
        current = parent.operation
    return current


def _is_dynamic_view(value: ir.Value) -> bool:
    if isinstance(value.owner, ir.Block) or not _is_memref(value):
        return False
    return layout_of(value.type) is None


def _written(operations: Sequence[ir.Operation]) -> set[ir.Value] | None:
    """The arrays that `operations` write; None if that is not known from their kinds."""
    written: set[ir.Value] = set()
    for op in operations:
        if op.name.startswith("linalg."):
            sizes = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
            written.update(list(op.operands)[sizes[0] :])
        elif op.name == "memref.store":
            written.add(op.operands[1])
        elif INDEPENDENT in op.attributes:
            inner = [each for each in _nested(op) if each.name.startswith("linalg.")]
            views = _written([each for each in inner if each.regions]) or set()
            views |= {each.operands[1] for each in _nested(op) if each.name == "memref.copy"}
            written.update(view.owner.operation.operands[0] for view in views)
        elif op.name == "memref.copy":
            written.add(op.operands[1])
        elif op.regions and len(op.regions[0].blocks):
            return None
    return written


def independent_loops(operations: Sequence[ir.Operation]) -> tuple[int, tuple[int, ...]]:
    """The trip count of loops that threads can share, and their depths in each loop nest.

    0 if there are none or the work is not worth it. Of several operations that follow each other
    on the same array, each must be split along the same dimension of that array: then no thread
    needs what another one has written.
    """
    if len(operations) == 1 and INDEPENDENT in operations[0].attributes:
        return _rows(operations[0])
    extents, depths, work = set(), [], 0
    for op in operations:
        if op.name not in ("linalg.generic", "linalg.fill"):
            return 0, ()
        sizes, loop = _split_loop(op, shared=len(operations) > 1)
        if loop is None:
            return 0, ()
        extents.add(sizes[loop])
        depths.append(loop)
        work += math.prod(sizes)
    if len(extents) != 1 or work < PARALLEL_WORK:
        return 0, ()
    return extents.pop(), tuple(depths)


def _rows(loop: ir.Operation) -> tuple[int, tuple[int, ...]]:
    """The same for a loop over rows (``cpu-fuse-rows``), which says how much work it does."""
    if ir.IntegerAttr(loop.attributes[INDEPENDENT]).value < PARALLEL_WORK:
        return 0, ()
    return _trips(loop), (0,)


def _trips(loop: ir.Operation) -> int:
    """The trip count of a loop from 0 on in steps of 1."""
    return ir.IntegerAttr(loop.operands[1].owner.operation.attributes["value"]).value


def _split_loop(op: ir.Operation, shared: bool) -> tuple[list[int], int | None]:
    """The loop sizes of a linalg operation, and the loop to split, if there is one."""
    if op.name == "linalg.fill":
        sizes = list(ir.MemRefType(op.operands[1].type).shape)
        return sizes, 0 if sizes else None
    sizes = _loop_sizes(op)
    kinds = [str(kind) for kind in ir.ArrayAttr(op.attributes["iterator_types"])]
    candidates = [loop for loop in range(len(sizes)) if "parallel" in kinds[loop]]
    if shared:
        maps = ir.ArrayAttr(op.attributes["indexing_maps"])
        output = list(ir.AffineMapAttr(maps[len(maps) - 1]).value.results)
        first = output[0] if output else None
        rows = first.position if isinstance(first, ir.AffineDimExpr) else None
        candidates = [loop for loop in candidates if loop == rows]
    useful = [loop for loop in candidates if sizes[loop] > 1]
    return sizes, useful[0] if useful else None


def _loop_sizes(generic: ir.Operation) -> list[int]:
    sizes: dict[int, int] = {}
    maps = ir.ArrayAttr(generic.attributes["indexing_maps"])
    for value, attribute in zip(generic.operands, maps, strict=True):
        if not _is_memref(value):
            continue
        shape = ir.MemRefType(value.type).shape
        for size, expression in zip(shape, ir.AffineMapAttr(attribute).value.results, strict=True):
            if isinstance(expression, ir.AffineDimExpr):
                sizes[expression.position] = size
    return [sizes[i] for i in range(len(sizes))] if sorted(sizes) == list(range(len(sizes))) else []
