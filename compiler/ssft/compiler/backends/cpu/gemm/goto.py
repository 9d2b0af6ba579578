"""The loops around the innermost kernel, after Goto & van de Geijn (2008) and BLIS.

Blocks of `kc` steps of k, of `mc` rows and of `nc` columns. A's block is packed and stays in the
second-level cache while B passes by: a few panels are packed, and each meets all panels of A.
Sizes, strides and blocks are arguments: all products of a program share one copy of this code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ssft.compiler.backends.cpu.gemm import micro, panels
from ssft.compiler.backends.cpu.gemm.form import Product, Types
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
end within a vector). Operands that are narrower than sums are always packed."""

PADDING = 64
"""Bytes between packed panels of A, and groups of columns of B. Packing writes many of them at
once; those of a power of two bytes would compete for the same lines of the first-level cache."""

PANELS = 2
"""Panels of B that are packed together: rows of B are then read in pieces worth fetching."""


def name_of(isa: Isa, types: Types) -> str:
    """The name of the function that multiplies."""
    return f"ssft_gemm_{types.name}_{isa.name}"


def functions(isa: Isa, types: Types) -> dict[str, str]:
    """The function that multiplies and all that it calls, by name."""
    inner = Types(types.sums, types.result)
    found = {
        micro.name_of(isa, inner, vectors): micro.micro_kernel(isa, inner, vectors)
        for vectors in range(1, isa.vectors + 1)
    }
    for width in {isa.rows, isa.lanes(types.sums)}:
        name = panels.name_of(isa, types.operands, width)
        found[name] = panels.pack(isa, types.operands, types.sums, width)
    found[name_of(isa, types)] = _multiply(isa, types)
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
    packed = product.types.sums
    item, lanes = ITEM[packed], isa.lanes(packed)
    k = min(blocks.kc, product.k.size)
    count = -(-min(blocks.mc, product.m.size) // isa.rows)
    # Behind the last panel packing may write as many steps of k as a group has rows.
    a = (count * k + isa.rows) * isa.rows * item + count * PADDING
    groups = -(-min(blocks.nc, product.n.size) // lanes)
    b = (groups * k + lanes) * lanes * item + groups * PADDING
    widens = product.types.operands != packed
    needs_a = widens or not blocks.direct_a
    needs_b = widens or not blocks.direct_b or product.n.size % lanes
    return (-(-a // 64) * 64 if needs_a else 0), (-(-b // 64) * 64 if needs_b else 0)


def constants(product: Product, blocks: Blocks) -> Mapping[str, int]:
    """The values of those `PARAMETERS` that follow from `product` alone, with its m, n and k."""
    types = product.types
    items = {"a": ITEM[types.operands], "b": ITEM[types.operands], "c": ITEM[types.result]}
    strides = {
        f"{letter}_{name}": getattr(getattr(product, name), letter) * items[letter]
        for letter, name in (("a", "m"), ("a", "k"), ("b", "k"), ("b", "n"), ("c", "m"))
    }
    sizes = {name: getattr(product, name).size for name in "mnk"}
    chosen = {name: int(getattr(blocks, name)) for name in Blocks.__dataclass_fields__}
    return {**strides, **sizes, **chosen, "add": int(product.accumulate)}


def _multiply(isa: Isa, types: Types) -> str:
    text = Text()
    with text.loop(0, "%k", "%kc") as pc:
        depth = text.least(text.sub("%k", pc), "%kc")
        add = text.either("%add", text.compare("ne", pc, 0))
        with text.loop(0, "%m", "%mc") as ic:
            rows = text.least(text.sub("%m", ic), "%mc")
            a = text.at(text.at("%a", text.mul(ic, "%a_m")), text.mul(pc, "%a_k"))
            left = _left(text, isa, types, a, rows, depth)
            with text.loop(0, "%n", "%nc") as jc:
                columns = text.least(text.sub("%n", jc), "%nc")
                b = text.at(text.at("%b", text.mul(pc, "%b_k")), text.mul(jc, "%b_n"))
                right = _right(text, isa, types, b, columns, depth)
                c = text.at("%c", text.mul(ic, "%c_m"))
                c = text.at(c, text.mul(jc, ITEM[types.result]))
                _block(text, isa, types, left, right, c, (rows, columns, depth), add)
    return text.function(name_of(isa, types), PARAMETERS, isa.attributes)


def _left(
    text: Text, isa: Isa, types: Types, a: str, rows: str, depth: str
) -> tuple[str, str, str, str]:
    """Packs a block of A if need be; where it is, and its strides by row, k and panel."""
    item = text.number(ITEM[types.sums])
    per_k = text.number(isa.rows * ITEM[types.sums])
    panel = text.add(text.mul(depth, per_k), PADDING)
    values = (a, "%a_m", "%a_k", rows, depth, "%panels_a", panel, per_k)
    name = panels.name_of(isa, types.operands, isa.rows)
    if types.operands != types.sums:
        _call(text, name, values, panels.PARAMETERS)
        return "%panels_a", item, per_k, panel
    with text.when(text.negated("%direct_a")):
        _call(text, name, values, panels.PARAMETERS)
    whole = text.mul("%a_m", isa.rows)
    choices = ((a, "%panels_a", PTR), ("%a_m", item, "i64"), ("%a_k", per_k, "i64"))
    place, by_row, by_k = (text.select("%direct_a", *choice) for choice in choices)
    return place, by_row, by_k, text.select("%direct_a", whole, panel)


def _right(
    text: Text, isa: Isa, types: Types, b: str, columns: str, depth: str
) -> tuple[str, str, str]:
    """Packs columns of B if need be; where they are, and their strides by k and group."""
    lanes = isa.lanes(types.sums)
    vector = text.number(isa.vector)
    group = text.add(text.mul(depth, vector), PADDING)
    values = (b, "%b_n", "%b_k", columns, depth, "%panels_b", group, vector)
    name = panels.name_of(isa, types.operands, lanes)
    if types.operands != types.sums:
        _call(text, name, values, panels.PARAMETERS)
        return "%panels_b", vector, group
    ragged = text.compare("ne", text.binary("remui", columns, lanes), 0)
    direct = text.both("%direct_b", text.negated(ragged))
    with text.when(text.negated(direct)):
        _call(text, name, values, panels.PARAMETERS)
    place = text.select(direct, b, "%panels_b", PTR)
    return place, text.select(direct, "%b_k", vector), text.select(direct, vector, group)


def _block(
    text: Text,
    isa: Isa,
    types: Types,
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
    lanes, inner = isa.lanes(types.sums), Types(types.sums, types.result)
    zero = text.number(0)
    text.do(f"%end = scf.while (%j = {zero}) : (i64) -> i64 {{")
    text.do(f"scf.condition({text.compare('slt', '%j', columns)}) %j : i64")
    text.do("} do {")
    text.do("^bb0(%j: i64):")
    rest = text.sub(columns, "%j")
    width = _width(text, isa, types.sums, rest)
    some = text.least(rest, width)
    panel = text.at(b, text.mul(text.binary("divui", "%j", lanes), b_group))
    target = text.at(c, text.mul("%j", ITEM[types.result]))
    for vectors in range(1, isa.vectors + 1):
        with (
            text.when(text.compare("eq", width, vectors * lanes)),
            text.loop(0, rows, isa.rows) as i,
        ):
            place = text.at(a, text.mul(text.binary("divui", i, isa.rows), a_panel))
            tile = text.at(target, text.mul(i, "%c_m"))
            height = text.least(text.sub(rows, i), isa.rows)
            values = (depth, place, a_m, a_k, panel, b_k, b_group, tile, "%c_m", height, some, add)
            _call(text, micro.name_of(isa, inner, vectors), values, micro.PARAMETERS)
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
