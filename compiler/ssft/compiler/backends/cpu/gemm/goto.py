"""The loops around the innermost kernel, after Goto & van de Geijn (2008) and BLIS.

Blocks of `kc` steps of k, of `mc` rows and of `nc` columns. A's block is packed and stays in the
second-level cache while B passes by: a few panels are packed, and each meets all panels of A.
Sizes, strides and blocks are arguments: all products of a program share one copy of this code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ssft.compiler.backends.cpu.gemm import micro, panels
from ssft.compiler.backends.cpu.gemm.form import Product
from ssft.compiler.backends.cpu.gemm.isa import ITEM, Isa
from ssft.compiler.backends.cpu.gemm.text import PTR, Text

PARAMETERS = (
    ("a", PTR),
    ("a_m", "i64"),
    ("a_k", "i64"),
    ("b", PTR),
    ("b_k", "i64"),
    ("b_n", "i64"),
    ("c", PTR),
    ("c_m", "i64"),
    ("m", "i64"),
    ("n", "i64"),
    ("k", "i64"),
    ("mc", "i64"),
    ("nc", "i64"),
    ("kc", "i64"),
    ("direct_a", "i1"),
    ("direct_b", "i1"),
    ("add", "i1"),
    ("panels_a", PTR),
    ("panels_b", PTR),
)
"""Strides are in bytes. `mc` and `nc` are whole numbers of panels. With `direct_a` or `direct_b`
the operand is read where it lies (B only where its columns are contiguous, and except where they
end within a vector)."""

PADDING = 64
"""Bytes between packed panels of A, and groups of columns of B. Packing writes many of them at
once; those of a power of two bytes would compete for the same lines of the first-level cache."""

PANELS = 2
"""Panels of B that are packed together: rows of B are then read in pieces worth fetching."""


def name_of(isa: Isa, dtype: str) -> str:
    """The name of the function that multiplies."""
    return f"ssft_gemm_{dtype}_{isa.name}"


def functions(isa: Isa, dtype: str) -> dict[str, str]:
    """The function that multiplies and all that it calls, by name."""
    found = {
        micro.name_of(isa, dtype, vectors): micro.micro_kernel(isa, dtype, vectors)
        for vectors in range(1, isa.vectors + 1)
    }
    for width in {isa.rows, isa.lanes(dtype)}:
        found[panels.name_of(isa, dtype, width)] = panels.pack(isa, dtype, width)
    found[name_of(isa, dtype)] = _multiply(isa, dtype)
    return found


@dataclass(frozen=True)
class Blocks:
    """How a product is blocked: see `PARAMETERS`."""

    mc: int = 512
    nc: int = 96
    kc: int = 512
    direct_a: bool = False
    direct_b: bool = False


def workspace(isa: Isa, product: Product, blocks: Blocks) -> tuple[int, int]:
    """Bytes, multiples of 64, of packed panels of A and of B: `PARAMETERS`' last two."""
    item, lanes = ITEM[product.dtype], isa.lanes(product.dtype)
    k = min(blocks.kc, product.k.size)
    count = -(-min(blocks.mc, product.m.size) // isa.rows)
    # Behind the last panel packing may write as many steps of k as a group has rows.
    a = (count * k + isa.rows) * isa.rows * item + count * PADDING
    groups = -(-min(blocks.nc, product.n.size) // lanes)
    b = (groups * k + lanes) * lanes * item + groups * PADDING
    needs_b = not blocks.direct_b or product.n.size % lanes
    return (0 if blocks.direct_a else -(-a // 64) * 64), (-(-b // 64) * 64 if needs_b else 0)


def constants(product: Product, blocks: Blocks) -> Mapping[str, int]:
    """The values of those `PARAMETERS` that follow from `product` alone, with its m, n and k."""
    item = ITEM[product.dtype]
    strides = {
        f"{letter}_{name}": getattr(getattr(product, name), letter) * item
        for letter, name in (("a", "m"), ("a", "k"), ("b", "k"), ("b", "n"), ("c", "m"))
    }
    sizes = {name: getattr(product, name).size for name in "mnk"}
    chosen = {name: int(getattr(blocks, name)) for name in Blocks.__dataclass_fields__}
    return {**strides, **sizes, **chosen, "add": int(product.accumulate)}


def _multiply(isa: Isa, dtype: str) -> str:
    text = Text()
    with text.loop(0, "%k", "%kc") as pc:
        depth = text.least(text.sub("%k", pc), "%kc")
        add = text.either("%add", text.compare("ne", pc, 0))
        with text.loop(0, "%m", "%mc") as ic:
            rows = text.least(text.sub("%m", ic), "%mc")
            a = text.at(text.at("%a", text.mul(ic, "%a_m")), text.mul(pc, "%a_k"))
            left = _left(text, isa, dtype, a, rows, depth)
            with text.loop(0, "%n", "%nc") as jc:
                columns = text.least(text.sub("%n", jc), "%nc")
                b = text.at(text.at("%b", text.mul(pc, "%b_k")), text.mul(jc, "%b_n"))
                right = _right(text, isa, dtype, b, columns, depth)
                c = text.at("%c", text.mul(ic, "%c_m"))
                c = text.at(c, text.mul(jc, ITEM[dtype]))
                _block(text, isa, dtype, left, right, c, (rows, columns, depth), add)
    return text.function(name_of(isa, dtype), PARAMETERS, isa.attributes)


def _left(
    text: Text, isa: Isa, dtype: str, a: str, rows: str, depth: str
) -> tuple[str, str, str, str]:
    """Packs a block of A if need be; where it is, and its strides by row, k and panel."""
    item = text.number(ITEM[dtype])
    per_k = text.number(isa.rows * ITEM[dtype])
    panel = text.add(text.mul(depth, per_k), PADDING)
    with text.when(text.negated("%direct_a")):
        values = (a, "%a_m", "%a_k", rows, depth, "%panels_a", panel, per_k)
        _call(text, panels.name_of(isa, dtype, isa.rows), values, panels.PARAMETERS)
    whole = text.mul("%a_m", isa.rows)
    choices = ((a, "%panels_a", PTR), ("%a_m", item, "i64"), ("%a_k", per_k, "i64"))
    place, by_row, by_k = (text.select("%direct_a", *choice) for choice in choices)
    return place, by_row, by_k, text.select("%direct_a", whole, panel)


def _right(
    text: Text, isa: Isa, dtype: str, b: str, columns: str, depth: str
) -> tuple[str, str, str]:
    """Packs columns of B if need be; where they are, and their strides by k and group."""
    lanes = isa.lanes(dtype)
    ragged = text.compare("ne", text.binary("remui", columns, lanes), 0)
    direct = text.both("%direct_b", text.negated(ragged))
    vector = text.number(isa.vector)
    group = text.add(text.mul(depth, vector), PADDING)
    with text.when(text.negated(direct)):
        values = (b, "%b_n", "%b_k", columns, depth, "%panels_b", group, vector)
        _call(text, panels.name_of(isa, dtype, lanes), values, panels.PARAMETERS)
    place = text.select(direct, b, "%panels_b", PTR)
    return place, text.select(direct, "%b_k", vector), text.select(direct, vector, group)


def _block(
    text: Text,
    isa: Isa,
    dtype: str,
    left: tuple[str, str, str, str],
    right: tuple[str, str, str],
    c: str,
    sizes: tuple[str, str, str],
    add: str,
) -> None:
    """Multiplies a block of A with some columns of B, panel by panel of B."""
    rows, columns, depth = sizes
    a, a_m, a_k, a_panel = left
    b, b_k, b_group = right
    lanes = isa.lanes(dtype)
    zero = text.number(0)
    text.do(f"%end = scf.while (%j = {zero}) : (i64) -> i64 {{")
    text.do(f"scf.condition({text.compare('slt', '%j', columns)}) %j : i64")
    text.do("} do {")
    text.do("^bb0(%j: i64):")
    rest = text.sub(columns, "%j")
    width = _width(text, isa, dtype, rest)
    some = text.least(rest, width)
    panel = text.at(b, text.mul(text.binary("divui", "%j", lanes), b_group))
    target = text.at(c, text.mul("%j", ITEM[dtype]))
    for vectors in range(1, isa.vectors + 1):
        with (
            text.when(text.compare("eq", width, vectors * lanes)),
            text.loop(0, rows, isa.rows) as i,
        ):
            place = text.at(a, text.mul(text.binary("divui", i, isa.rows), a_panel))
            tile = text.at(target, text.mul(i, "%c_m"))
            height = text.least(text.sub(rows, i), isa.rows)
            values = (depth, place, a_m, a_k, panel, b_k, b_group, tile, "%c_m", height, some, add)
            _call(text, micro.name_of(isa, dtype, vectors), values, micro.PARAMETERS)
    text.do(f"scf.yield {text.add('%j', width)} : i64")
    text.do("}")


def _width(text: Text, isa: Isa, dtype: str, rest: str) -> str:
    """The columns of the next panel, if `rest` are left.

    The widest, but the last two share what is left, because one vector per row is slow.
    """
    lanes, widest = isa.lanes(dtype), isa.columns(dtype)
    vectors = text.binary("divui", text.add(rest, lanes - 1), lanes)
    needed = text.least(text.mul(vectors, lanes), widest)
    lonely = text.compare("eq", vectors, isa.vectors + 1)
    return text.select(lonely, text.number(widest - lanes), needed)


def _call(
    text: Text, name: str, values: tuple[str, ...], parameters: tuple[tuple[str, str], ...]
) -> None:
    types = (type_ for _, type_ in parameters)
    text.call(name, list(zip(values, types, strict=True)))
