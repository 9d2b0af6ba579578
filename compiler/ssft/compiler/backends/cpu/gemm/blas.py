"""Matrix products by calls of a Fortran BLAS (``sgemm_``, ``dgemm_``) from generated code.

Transposes become BLAS flags and strides become leading dimensions, so no operand is copied. BLAS
arrays are column-major: a row-major C is computed as its transpose, ``C' = B' A'``.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm.form import ADDRESS, Axis, Product, Types
from ssft.compiler.backends.cpu.schedule import Kernel

ROUTINES = {"f32": "sgemm_", "f64": "dgemm_"}

TINY = 512
"""Products of fewer multiply-adds are left to plain loops: a call costs more than they do."""

SHARED = 1 << 20
"""Multiply-adds from which on independent products are shared among threads."""


def takes(types: Types) -> bool:
    """Whether BLAS multiplies arrays of these element types."""
    return types.result in ROUTINES and types.operands == types.result


def emit(name: str, product: Product, types: tuple[str, ...]) -> Kernel | None:
    """A kernel that loops over the outer axes of `product` and calls BLAS; None if it cannot."""
    if not takes(product.types):
        return None
    if product.m.size * product.n.size * product.k.size < TINY:
        return None
    if product.m.size == 1 and product.n.size == 1:
        return None  # dot products: a fused loop reads each array once, without any call
    call = column_major(product)
    if call is None:
        return None
    swapped, flags, leading = call
    rows, columns = (product.n, product.m) if swapped else (product.m, product.n)
    definitions = {
        ROUTINES[product.dtype]: f"llvm.func @{ROUTINES[product.dtype]}({_pointers(13)})"
    }
    names = [
        _constant(definitions, f"flag_{flags[0]}", f"{ord(flags[0])} : i8"),
        _constant(definitions, f"flag_{flags[1]}", f"{ord(flags[1])} : i8"),
        *(_integer(definitions, axis.size) for axis in (rows, columns, product.k)),
        _real(definitions, product.dtype, 1),
        *(_integer(definitions, size) for size in leading),
        _real(definitions, product.dtype, 0),
    ]
    shared = product.independent and product.multiplications >= SHARED
    extent = product.outer[0].size if shared and product.outer[0].size > 1 else 0
    text = _function(name, product, types, swapped, names, bool(extent))
    return Kernel(name, text, operands=3, extent=extent, globals=definitions)


def column_major(product: Product) -> tuple[bool, str, tuple[int, int, int]] | None:
    """How BLAS can do `product`; None if it cannot.

    Whether A and B change places, the transpose flags, and the three leading
    dimensions.
    """
    for swapped in (True, False):
        # In BLAS terms: C is rows x columns with unit stride along its rows.
        rows, columns = (product.n, product.m) if swapped else (product.m, product.n)
        left = ("b", "a") if swapped else ("a", "b")
        if rows.c != 1 and rows.size != 1:
            continue
        first = _matrix(rows, product.k, left[0])
        second = _matrix(product.k, columns, left[1])
        c = max(columns.c if columns.size > 1 else rows.size, rows.size)
        if first is None or second is None or (columns.size > 1 and columns.c < rows.size):
            continue
        return swapped, first[0] + second[0], (first[1], second[1], c)
    return None


def _matrix(rows: Axis, columns: Axis, array: str) -> tuple[str, int] | None:
    """The BLAS flag and leading dimension of an array that is read as rows x columns."""
    row, column = getattr(rows, array), getattr(columns, array)
    if (row == 1 or rows.size == 1) and (column >= rows.size or columns.size == 1):
        return "N", max(column, rows.size) if columns.size > 1 else rows.size
    if (column == 1 or columns.size == 1) and (row >= columns.size or rows.size == 1):
        return "T", max(row, columns.size) if rows.size > 1 else columns.size
    return None


def _function(
    name: str,
    product: Product,
    types: tuple[str, ...],
    swapped: bool,
    names: list[str],
    parallel: bool,
) -> str:
    arguments = ", ".join(f"%{letter}: {type_}" for letter, type_ in zip("abc", types, strict=True))
    lines = [f"func.func private @{name}({arguments}, %lo: index, %hi: index) {{"]
    lines += ["%zero = arith.constant 0 : index", "%one = arith.constant 1 : index"]
    lines += [f"%{n} = llvm.mlir.addressof @{n} : !llvm.ptr" for n in sorted(set(names))]
    one = names[5]
    lines += [
        f"%{letter}p = memref.extract_aligned_pointer_as_index %{letter} : {type_} -> index"
        for letter, type_ in zip("abc", types, strict=True)
        if type_ != ADDRESS
    ]
    for depth, axis in enumerate(product.outer):
        bounds = ("%lo", "%hi") if depth == 0 and parallel else ("%zero", f"%size{depth}")
        lines.append(f"%size{depth} = arith.constant {axis.size} : index")
        lines.append(f"scf.for %i{depth} = {bounds[0]} to {bounds[1]} step %one {{")
    lines += _addresses(product, types)
    beta = _beta(product, lines, names)
    first, second = ("b", "a") if swapped else ("a", "b")
    operands = [*names[:5], one, f"p_{first}", names[6], f"p_{second}", names[7]]
    operands = [f"%{n}" for n in (*operands, beta, "p_c", names[8])]
    lines.append(
        f"llvm.call @{ROUTINES[product.dtype]}({', '.join(operands)}) : ({_pointers(13)}) -> ()"
    )
    return "\n".join(lines + ["}"] * len(product.outer) + ["return", "}"])


def _addresses(product: Product, types: tuple[str, ...]) -> list[str]:
    """Computes ``%p_a``, ``%p_b`` and ``%p_c`` for the current outer iteration."""
    item = {"f32": 4, "f64": 8}[product.dtype]
    lines = []
    for letter, type_ in zip("abc", types, strict=True):
        address = f"%{letter}" if type_ == ADDRESS else f"%{letter}p"
        for depth, axis in enumerate(product.outer):
            step, move, sum_ = (f"%{letter}{word}{depth}" for word in ("step", "move", "sum"))
            lines += [
                f"{step} = arith.constant {getattr(axis, letter) * item} : index",
                f"{move} = arith.muli %i{depth}, {step} : index",
                f"{sum_} = arith.addi {address}, {move} : index",
            ]
            address = sum_
        lines.append(f"%{letter}i = arith.index_cast {address} : index to i64")
        lines.append(f"%p_{letter} = llvm.inttoptr %{letter}i : i64 to !llvm.ptr")
    return lines


def _beta(product: Product, lines: list[str], names: list[str]) -> str:
    """The name of the pointer to beta: 0 where C is overwritten, 1 where it is added to."""
    one, zero = names[5], names[9]
    if product.accumulate:
        return one
    accumulating = [depth for depth, axis in enumerate(product.outer) if axis.c == 0]
    if not accumulating:
        return zero
    first = "first"
    for number, depth in enumerate(accumulating):
        lines.append(f"%z{depth} = arith.cmpi eq, %i{depth}, %zero : index")
        if number == 0:
            lines.append(f"%first0 = arith.andi %z{depth}, %z{depth} : i1")
        else:
            lines.append(f"%first{number} = arith.andi %first{number - 1}, %z{depth} : i1")
        first = f"first{number}"
    lines.append(f"%beta = llvm.select %{first}, %{zero}, %{one} : i1, !llvm.ptr")
    return "beta"


def _pointers(count: int) -> str:
    return ", ".join(["!llvm.ptr"] * count)


def _constant(definitions: dict[str, str], name: str, value: str) -> str:
    type_ = value.split(" : ")[1]
    definitions[name] = f"llvm.mlir.global internal constant @{name}({value}) : {type_}"
    return name


def _integer(definitions: dict[str, str], value: int) -> str:
    return _constant(definitions, f"int_{value}", f"{value} : i32")


def _real(definitions: dict[str, str], dtype: str, value: int) -> str:
    return _constant(definitions, f"{dtype}_{value}", f"{float(value)} : {dtype}")


__all__ = ["ROUTINES", "SHARED", "TINY", "emit"]
