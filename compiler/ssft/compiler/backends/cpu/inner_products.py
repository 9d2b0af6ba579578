"""Matrix products inside the loops of a kernel (``cpu-fuse-rows``): calls of functions.

In the loops, operands are views whose place is known only at run time, so that the functions take
addresses. They run on the thread that runs the loop, and their workspace is that thread's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from ssft.compiler.analysis.contractions import indexing_maps, is_multiply_accumulate
from ssft.compiler.analysis.forms import fills_with_zeros
from ssft.compiler.analysis.step import owner
from ssft.compiler.backends.cpu import gemm
from ssft.compiler.backends.cpu.layout import Layout
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.schedule import Kernel
from ssft.compiler.passes.cpu_fuse_rows import PRODUCTS
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class InnerProduct:
    """A product in the body of a loop.

    `kernel` computes `op`; it also does what `fill` does, if there is one.
    """

    op: ir.Operation
    fill: ir.Operation | None
    kernel: Kernel


def find(operations: Sequence[ir.Operation], options: CpuOptions) -> list[InnerProduct]:
    """The products inside the loops `operations` that a provider takes."""
    alone = replace(options, parallel=False)
    found = []
    for op in operations:
        if op.name == "scf.for":
            for inner in _contractions(op):
                product = _inner_product(inner, alone)
                if product is not None:
                    found.append(product)
    return found


def workspace(products: Sequence[InnerProduct]) -> int:
    """Bytes of scratch memory that one thread needs for `products`."""
    return max((product.kernel.workspace for product in products), default=0)


def definitions(products: Sequence[InnerProduct]) -> dict[str, str]:
    """What the module has to define for the calls, by name."""
    found: dict[str, str] = {}
    for product in products:
        found |= product.kernel.globals | {product.kernel.name: product.kernel.text}
    return found


def flops(operations: Sequence[ir.Operation]) -> int:
    """Floating-point operations of the products in the loops `operations`, if no mask saves any."""
    marked = [op.attributes[PRODUCTS] for op in operations if PRODUCTS in op.attributes]
    return sum(2 * ir.IntegerAttr(attribute).value for attribute in marked)


def insert_calls(
    function: ir.Operation, options: CpuOptions, scratch: ir.Value | None, share: int
) -> None:
    """Replaces the products in the loops of `function` by calls.

    Each iteration of its outermost loop has `share` bytes of `scratch` as its workspace.
    """
    loops = [op.operation for op in function.regions[0].blocks[0].operations]
    for loop in loops:
        for product in find([loop], options):
            counter = loop.regions[0].blocks[0].arguments[0]
            with ir.InsertionPoint(product.op), ir.Location.unknown(function.context):
                _insert_call(product, scratch, share, counter)
            if product.fill is not None:
                product.fill.erase()
            product.op.erase()


def _contractions(loop: ir.Operation) -> Iterator[ir.Operation]:
    for op in list(loop.regions[0].blocks[0].operations):
        inner = op.operation
        if inner.name == "scf.for":
            yield from _contractions(inner)
        elif is_multiply_accumulate(inner):
            yield inner


def _inner_product(op: ir.Operation, options: CpuOptions) -> InnerProduct | None:
    maps = indexing_maps(op)
    kinds = str(op.attributes["iterator_types"])
    if maps is None or len(maps) != 3 or "reduction" not in kinds:
        return None
    known = all(ir.MemRefType(value.type).has_static_shape for value in op.operands)
    if not known or any(_offset(value) is None for value in op.operands):
        return None
    layouts = [_layout(value) for value in op.operands]
    fill = _fill_before(op)
    product = gemm.product_of(maps, layouts, fill is None)
    types = (gemm.ADDRESS,) * 3
    name = "product_" + sha256(f"{product} {options.gemm}".encode()).hexdigest()[:12]
    kernel = gemm.emit(options, name, product, types)
    if kernel is None:
        return None
    return InnerProduct(op, fill, kernel)


def _fill_before(op: ir.Operation) -> ir.Operation | None:
    """The operation that sets the result of `op` to zeros right before it."""
    result = op.operands[2]
    before = None
    for other in op.block.operations:
        if other.operation == op:
            break
        before = other.operation
    if before is None or not fills_with_zeros(before):
        return None
    return before if before.operands[len(before.operands) - 1] == result else None


def _layout(value: ir.Value) -> Layout:
    """The layout of a view, counted from its own first element."""
    type_ = ir.MemRefType(value.type)
    strides, _ = type_.get_strides_and_offset()
    return Layout(tuple(type_.shape), tuple(strides), 0, str(type_.element_type))


def _offset(value: ir.Value) -> int | ir.Value | None:
    """The element of its buffer where a view begins; None if `value` is no such view."""
    view = owner(value)
    if view is None or view.name != "memref.reinterpret_cast":
        return None
    if len(view.operands) > 1:
        return view.operands[1]
    return ir.DenseI64ArrayAttr(view.attributes["static_offsets"])[0]


def _insert_call(
    product: InnerProduct, scratch: ir.Value | None, share: int, counter: ir.Value
) -> None:
    addresses = [
        _address(value, _offset(value), _layout(value).item) for value in product.op.operands
    ]
    if product.kernel.workspace:
        assert scratch is not None
        addresses.append(_address(scratch, counter, share))
    bounds = [_constant(0), _constant(product.kernel.extent)]
    ir.Operation.create(
        "func.call",
        operands=[*addresses, *bounds],
        attributes={"callee": ir.FlatSymbolRefAttr.get(product.kernel.name)},
    )


def _address(array: ir.Value, element: int | ir.Value | None, item: int) -> ir.Value:
    """The address of an element of `array`, a memref."""
    index = ir.IndexType.get()
    start = ir.Operation.create("memref.extract_aligned_pointer_as_index", [index], [array]).result
    if element is None or isinstance(element, int):
        move = _constant((element or 0) * item)
    else:
        move = ir.Operation.create("arith.muli", [index], [element, _constant(item)]).result
    return ir.Operation.create("arith.addi", [index], [start, move]).result


def _constant(value: int) -> ir.Value:
    index = ir.IndexType.get()
    attribute = ir.IntegerAttr.get(index, value)
    return ir.Operation.create("arith.constant", [index], attributes={"value": attribute}).result
