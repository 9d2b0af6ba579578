"""The innermost kernel: one register tile of C from a panel of A and a panel of B.

The tile is `Isa.rows` rows of one to `Isa.vectors` vectors. Per step of k the rows of A give one
broadcast element each, B one row of vectors. Strides are arguments, so that the same code reads
packed panels and operands where they lie.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm.elements import Elements
from ssft.compiler.backends.cpu.gemm.form import Types
from ssft.compiler.backends.cpu.gemm.isa import ITEM, Isa
from ssft.compiler.backends.cpu.gemm.text import PTR, Text

PARAMETERS = (
    ("k", "i64"),
    ("a", PTR),
    ("a_m", "i64"),
    ("a_k", "i64"),
    ("b", PTR),
    ("b_k", "i64"),
    ("b_group", "i64"),
    ("c", PTR),
    ("c_m", "i64"),
    ("rows", "i64"),
    ("columns", "i64"),
    ("add", "i1"),
)
"""Strides are in bytes. Columns of C are contiguous, of B in groups of one vector that lie
`b_group` apart. With `add` C is added to."""


def name_of(isa: Isa, types: Types, vectors: int) -> str:
    """The name of the kernel for tiles of `vectors` vectors per row."""
    return f"ssft_tile_{types.name}_{isa.name}_{vectors}"


def micro_kernel(isa: Isa, types: Types, vectors: int) -> str:
    """The text of the kernel; its operands are of the type of the sums."""
    text = Text()
    tile = _accumulate(text, isa, types.sums, vectors)
    lanes = isa.lanes(types.sums)
    whole = text.both(
        text.compare("eq", "%rows", isa.rows),
        text.compare("eq", "%columns", vectors * lanes),
    )
    with text.when(whole):
        _update(text, isa, types, tile)
        text.otherwise()
        _update_part(text, isa, types, tile)
    return text.function(name_of(isa, types, vectors), PARAMETERS, isa.attributes)


def _accumulate(text: Text, isa: Isa, dtype: str, vectors: int) -> list[list[str]]:
    """Sums over k; returns the names of the tile's vectors, by row."""
    lanes, item = isa.lanes(dtype), ITEM[dtype]
    vector = f"vector<{lanes}x{dtype}>"
    last = text.sub("%rows", 1)
    # Rows that do not exist repeat the last one, so that nothing outside A is read.
    offsets = [
        text.mul("%a_m", text.least(last, row)) if row else text.number(0)
        for row in range(isa.rows)
    ]
    groups = [text.mul("%b_group", j) for j in range(vectors)]
    _fetch(text, isa, vectors, last)
    names = [[f"s{row}_{j}" for j in range(vectors)] for row in range(isa.rows)]
    flat = [name for row in names for name in row]
    zero = text(f"arith.constant dense<0.0> : {vector}")
    start = ", ".join([*(f"%{name} = {zero}" for name in flat), "%pa = %a", "%pb = %b"])
    types = ", ".join([vector] * len(flat) + [PTR, PTR])
    low, one = text.number(0), text.number(1)
    text.do(
        f"%sums:{len(flat) + 2} = scf.for %p = {low} to %k step {one} "
        f"iter_args({start}) -> ({types}) : i64 {{"
    )
    b = [text.load(text.at("%pb", groups[j]) if j else "%pb", vector, item) for j in range(vectors)]
    sums = []
    for row in range(isa.rows):
        a = text.splat(text.load(text.at("%pa", offsets[row]), dtype, item), dtype, lanes)
        sums += [
            text(f"llvm.intr.fma({a}, {b[j]}, %{names[row][j]}) : ({', '.join([vector] * 3)}) -> "
                 f"{vector}")
            for j in range(vectors)
        ]  # fmt: skip
    following = [text.at("%pa", "%a_k"), text.at("%pb", "%b_k")]
    text.do(f"scf.yield {', '.join(sums + following)} : {types}")
    text.do("}")
    return [[f"%sums#{row * vectors + j}" for j in range(vectors)] for row in range(isa.rows)]


def _fetch(text: Text, isa: Isa, vectors: int, last: str) -> None:
    """Asks for the tile of C, which is needed when the sums are done."""
    for row in range(isa.rows):
        place = text.at("%c", text.mul("%c_m", text.least(last, row))) if row else "%c"
        for j in range(0, vectors * isa.vector, 64):
            text.prefetch(text.at(place, j), level=1, write=True)


def _update(text: Text, isa: Isa, types: Types, tile: list[list[str]]) -> None:
    """Writes a whole tile to C."""
    lanes = isa.lanes(types.sums)
    c = Elements(text, types.result, types.sums, lanes)
    step = lanes * c.item
    places = [
        [text.at(text.at("%c", text.mul("%c_m", row)), j * step) for j in range(len(sums))]
        for row, sums in enumerate(tile)
    ]
    with text.when("%add"):
        for row, sums in zip(places, tile, strict=True):
            for place, value in zip(row, sums, strict=True):
                c.store(text(f"arith.addf {c.load(place)}, {value} : {c.vector}"), place)
        text.otherwise()
        for row, sums in zip(places, tile, strict=True):
            for place, value in zip(row, sums, strict=True):
                c.store(value, place)


def _update_part(text: Text, isa: Isa, types: Types, tile: list[list[str]]) -> None:
    """Writes the first `%rows` rows and `%columns` columns of a tile to C.

    Through memory and in a loop over rows: this code is seldom run and should be small.
    """
    lanes, item, vectors = isa.lanes(types.sums), ITEM[types.sums], len(tile[0])
    c = Elements(text, types.result, types.sums, lanes)
    count = text("llvm.mlir.constant(1 : i64) : i64")
    array = f"!llvm.array<{isa.rows * vectors} x {c.vector}>"
    scratch = text(f"llvm.alloca {count} x {array} {{alignment = 64 : i64}} : (i64) -> {PTR}")
    for row, sums in enumerate(tile):
        for j, value in enumerate(sums):
            place = text.at(scratch, (row * vectors + j) * isa.vector)
            text.store(value, place, c.vector, item)
    masks = [text.mask(text.sub("%columns", j * lanes), lanes) for j in range(vectors)]
    with text.loop(0, "%rows") as row:
        source = text.at(scratch, text.mul(row, vectors * isa.vector))
        target = text.at("%c", text.mul("%c_m", row))
        for j, mask in enumerate(masks):
            value = text.load(text.at(source, j * isa.vector), c.vector, item)
            place = text.at(target, j * lanes * c.item)
            with text.when("%add"):
                before = c.masked_load(place, mask)
                c.masked_store(text(f"arith.addf {before}, {value} : {c.vector}"), place, mask)
                text.otherwise()
                c.masked_store(value, place, mask)
