"""Matrix products by code of our own, for the host's instruction set.

The kernel of a product only says how the product is cut into parts and calls the one function that
multiplies (`goto`). Each element of C is a sum in an order that depends on `Blocks.kc` alone, so
neither the number of threads nor the cut changes a bit.
"""

from __future__ import annotations

import dataclasses

from ssft.compiler.backends.cpu.gemm import amx, goto
from ssft.compiler.backends.cpu.gemm.families import element_types, family
from ssft.compiler.backends.cpu.gemm.form import ADDRESS, Axis, Product
from ssft.compiler.backends.cpu.gemm.goto import PANELS, Blocks
from ssft.compiler.backends.cpu.gemm.isa import ITEM, Amx, Isa
from ssft.compiler.backends.cpu.gemm.text import PTR, Text
from ssft.compiler.backends.cpu.schedule import Kernel

TINY = 512
"""Products of fewer multiply-adds are left to plain loops: a call costs more than they do."""

LONGEST = 704
"""Steps of k per block."""

LONG = 22
"""Panels of the other operand that an operand may meet without being packed."""

NARROW = 8
"""Products of fewer rows, columns or steps would leave most of the matrix unit idle."""

SHARED = 1 << 19
"""Multiply-adds from which on threads share a product; of the faster matrix unit, 8 times more."""


def oriented(product: Product) -> Product | None:
    """`product`, or the same with A and B swapped, so that columns of C are contiguous."""
    if product.n.c == 1 or product.n.size == 1:
        return product
    if product.m.c != 1 and product.m.size != 1:
        return None
    m, n = (Axis(axis.size, axis.b, axis.a, axis.c) for axis in (product.n, product.m))
    k = Axis(product.k.size, product.k.b, product.k.a, product.k.c)
    outer = tuple(Axis(axis.size, axis.b, axis.a, axis.c) for axis in product.outer)
    return dataclasses.replace(product, m=m, n=n, k=k, outer=outer)


def is_swapped(product: Product) -> bool:
    """Whether `oriented` swaps A and B."""
    return product.n.c != 1 and product.n.size != 1


def takes(product: Product, isa: Isa) -> bool:
    """Whether code for `isa` can compute `product`, and should rather than plain loops."""
    sizes = product.m.size, product.n.size, product.k.size
    if product.types not in element_types(isa) or sizes[0] * sizes[1] * sizes[2] < TINY:
        return False
    if isinstance(isa, Amx) and min(sizes) < NARROW:
        return False
    return sizes[:2] != (1, 1) and oriented(product) is not None


def default_blocks(product: Product, isa: Isa) -> Blocks:
    """Blocks for an `oriented` product, from sizes alone.

    K is cut into equal parts of at most `LONGEST`: longer sums load and store C less often, but A's
    block should stay in a second-level cache of 2 MiB. An operand that is used by few panels of
    the other one is read where it lies.
    """
    if isinstance(isa, Amx):
        return amx.blocks(product, isa)
    m, n, k = product.m.size, product.n.size, product.k.size
    types = product.types
    lanes, width = isa.lanes(types.sums), isa.columns(types.sums)
    kc = -(-k // (-(-k // LONGEST)))
    kc = min(k, -(-kc // lanes) * lanes)
    if types.operands != types.sums:
        # Operands are widened where they are packed, and results are rounded once.
        kc = k if types.result != types.sums else kc
        rows = max(1, min(512, (1 << 18) // kc) // isa.rows) * isa.rows
        return Blocks(mc=rows, nc=PANELS * width, kc=kc)
    item = ITEM[types.operands]
    # Rows along k are read line by line; other strides pay for whole lines and pages.
    columns = LONG if product.k.a == 1 else 1
    # Rows of B a multiple of 4 KiB apart compete for the same lines of the caches.
    rows = 4 if product.k.b * item % 4096 == 0 or kc > 256 else LONG
    return Blocks(
        nc=PANELS * width,
        kc=kc,
        direct_a=-(-n // width) <= columns,
        direct_b=product.n.b == 1 and -(-m // isa.rows) <= rows,
    )


def parts(product: Product, threads: int, isa: Isa) -> tuple[int, int]:
    """Into how many parts the rows and the columns of C are cut for `threads` threads.

    Rows cut packs B repeatedly, and columns cut A: the larger dimension is cut.
    """
    lanes = isa.lanes(product.types.sums)
    best, cost = (1, 1), float("inf")
    for rows in range(1, min(threads, -(-product.m.size // isa.rows)) + 1):
        columns = min(threads // rows, -(-product.n.size // lanes))
        idle = threads - rows * columns
        repeated = columns * product.m.size + rows * product.n.size
        if (found := (1 + idle) * repeated) < cost:
            best, cost = (rows, columns), found
    return best


def emit(
    name: str,
    product: Product,
    types: tuple[str, ...],
    isa: Isa,
    threads: int,
    blocks: Blocks | None = None,
) -> Kernel | None:
    """A kernel that loops over the outer axes of `product` and multiplies; None if it cannot.

    The last operand of the kernel is its workspace of `Kernel.workspace` bytes.
    """
    wanted = oriented(product) if takes(product, isa) else None
    if wanted is None:
        return None
    writer = _Writer(wanted, is_swapped(product), isa, blocks or default_blocks(wanted, isa))
    return writer.kernel(name, types, threads)


class _Writer:
    def __init__(self, product: Product, swapped: bool, isa: Isa, blocks: Blocks) -> None:
        self.product, self.swapped, self.isa, self.blocks = product, swapped, isa, blocks
        self.family = family(isa)
        types = product.types
        self.items = {"a": ITEM[types.operands], "b": ITEM[types.operands], "c": ITEM[types.result]}
        self.a_bytes, b_bytes = self.family.workspace(isa, product, blocks)
        self.area = self.a_bytes + b_bytes
        self.text = Text()

    def kernel(self, name: str, types: tuple[str, ...], threads: int) -> Kernel:
        product = self.product
        if product.multiplications < SHARED * (8 if isinstance(self.isa, Amx) else 1):
            threads = 1
        rows, columns = parts(product, threads, self.isa)
        batch = threads > 1 and bool(product.independent) and product.outer[0].size >= threads
        count = threads if batch else rows * columns
        workspace = max(count * self.area, 64)
        text = self.text
        for letter in "abc":
            type_ = types["abc".index(letter)]
            self._pointer(letter, type_)
        scratch = ADDRESS if types[0] == ADDRESS else f"memref<{workspace}xi8>"
        self._pointer("w", scratch)
        self._bounds(count)
        area = text.at("%wp", text.mul("%from", self.area))
        text.do(f"%area_b = llvm.getelementptr {area}[{self.a_bytes}] : ({PTR}) -> {PTR}, i8")
        text.do(f"%area_a = llvm.getelementptr {area}[0] : ({PTR}) -> {PTR}, i8")
        self._outer(0, {"a": "%ap", "b": "%bp", "c": "%cp"}, [], batch, count, (rows, columns))
        parameters = ", ".join(f"%{n}: {t}" for n, t in zip("abcw", [*types, scratch], strict=True))
        lines = [f"func.func private @{name}({parameters}, %lo: index, %hi: index) {{"]
        return Kernel(
            name,
            "\n".join([*lines, *text.lines, "return", "}"]),
            operands=4,
            extent=count if count > 1 else 0,
            globals=self.family.functions(self.isa, product.types),
            workspace=workspace,
        )

    def _pointer(self, letter: str, type_: str) -> None:
        """Defines ``%<letter>p``, for A and B as the oriented product means them."""
        text = self.text
        index = f"%{letter}"
        if type_ != ADDRESS:
            index = text(f"memref.extract_aligned_pointer_as_index {index} : {type_} -> index")
        number = text(f"arith.index_cast {index} : index to i64")
        role = {"a": "b", "b": "a"}.get(letter, letter) if self.swapped else letter
        text.do(f"%{role}p = llvm.inttoptr {number} : i64 to {PTR}")

    def _bounds(self, count: int) -> None:
        """Defines ``%from`` and ``%to``, the parts that this call computes."""
        text = self.text
        if count > 1:
            text.do("%from = arith.index_cast %lo : index to i64")
            text.do("%to = arith.index_cast %hi : index to i64")
        else:
            text.do("%from = arith.constant 0 : i64")
            text.do("%to = arith.constant 1 : i64")

    def _outer(
        self,
        depth: int,
        pointers: dict[str, str],
        sums: list[str],
        batch: bool,
        count: int,
        grid: tuple[int, int],
    ) -> None:
        """The loops over outer axes from number `depth` on; `sums` are those that add to C."""
        text, product = self.text, self.product
        if depth == len(product.outer):
            self._cut(pointers, sums, (1, 1) if batch else grid)
            return
        axis = product.outer[depth]
        low, high = text.number(0), text.number(axis.size)
        if batch and depth == 0:
            low = text.binary("divui", text.mul("%from", axis.size), count)
            high = text.binary("divui", text.mul("%to", axis.size), count)
        with text.loop(low, high) as i:
            moved = {
                letter: text.at(pointer, text.mul(i, getattr(axis, letter) * self.items[letter]))
                for letter, pointer in pointers.items()
            }
            self._outer(depth + 1, moved, [*sums, i] if axis.c == 0 else sums, batch, count, grid)

    def _cut(self, pointers: dict[str, str], sums: list[str], grid: tuple[int, int]) -> None:
        """Computes the parts of one matrix C that fall to this call.

        Neighbouring parts are computed together where they form a rectangle.
        """
        text, (rows, columns) = self.text, grid
        if rows == columns == 1:
            self._call(pointers, sums, None, None)
        elif columns == 1:
            self._call(pointers, sums, ("%from", "%to", rows), None)
        else:
            first = text.binary("divui", "%from", columns)
            end = text.binary("divui", text.add("%to", columns - 1), columns)
            with text.loop(first, end) as row:
                start = text.mul(row, columns)
                low = text.binary("maxsi", text.sub("%from", start), 0)
                high = text.least(text.sub("%to", start), columns)
                self._call(pointers, sums, (row, text.add(row, 1), rows), (low, high, columns))

    def _call(
        self,
        pointers: dict[str, str],
        sums: list[str],
        rows: tuple[str, str, int] | None,
        columns: tuple[str, str, int] | None,
    ) -> None:
        """Calls the function that multiplies, for parts ``low <= i < high`` of `count`."""
        text, product, blocks = self.text, self.product, self.blocks
        m0, m = self._range(product.m.size, self.isa.rows, rows)
        n0, n = self._range(product.n.size, self.isa.lanes(product.types.sums), columns)
        named = {
            parameter: text(f"arith.constant {value} : i64")
            if type_ == "i64"
            else text(f"arith.constant {'true' if value else 'false'}")
            for (parameter, type_) in goto.PARAMETERS
            if (value := goto.constants(product, blocks).get(parameter)) is not None
        }
        step = text.number(self.items["c"])
        moves = (
            ("a", m0, named["a_m"]),
            ("b", n0, named["b_n"]),
            ("c", m0, named["c_m"]),
            ("c", n0, step),
        )
        for letter, start, stride in moves:
            if start is not None:
                move = text.mul(start, stride)
                pointers = {**pointers, letter: text.at(pointers[letter], move)}
        for i in sums:
            named["add"] = text.either(named["add"], text.compare("ne", i, 0))
        named |= {**pointers, "m": m, "n": n, "panels_a": "%area_a", "panels_b": "%area_b"}
        values = [(named[name], type_) for name, type_ in goto.PARAMETERS]
        text.call(self.family.name_of(self.isa, product.types), values)

    def _range(
        self, size: int, unit: int, part: tuple[str, str, int] | None
    ) -> tuple[str | None, str]:
        """Start and length of some of `count` nearly equal parts, which are whole units."""
        text = self.text
        if part is None:
            return None, text.number(size)
        low, high, count = part
        units = -(-size // unit)
        start, end = (
            text.mul(text.binary("divui", text.mul(i, units), count), unit) for i in (low, high)
        )
        return start, text.sub(text.least(end, size), start)


__all__ = ["SHARED", "TINY", "Blocks", "default_blocks", "emit", "oriented", "parts", "takes"]
