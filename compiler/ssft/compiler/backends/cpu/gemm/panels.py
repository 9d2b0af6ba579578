"""Packing: operands copied into panels, in the order in which the innermost kernel reads them.

A panel holds for each k the elements of a group of rows (of A; columns of B) side by side. Where k
is the contiguous dimension of the operand, square blocks are transposed in registers. Elements may
become wider on the way.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm.elements import Elements
from ssft.compiler.backends.cpu.gemm.isa import ITEM, Isa
from ssft.compiler.backends.cpu.gemm.text import PTR, Text

PARAMETERS = (
    ("source", PTR),
    ("s_row", "i64"),
    ("s_k", "i64"),
    ("rows", "i64"),
    ("k", "i64"),
    ("target", PTR),
    ("t_group", "i64"),
    ("t_k", "i64"),
)
"""Element (row, k) goes to ``target + row // W * t_group + k * t_k + row % W * item``; in bytes."""


def name_of(isa: Isa, dtype: str, width: int) -> str:
    """The name of the function that packs groups of `width` rows."""
    return f"ssft_pack_{dtype}_{isa.name}_{width}"


def pack(isa: Isa, dtype: str, packed: str, width: int) -> str:
    """The text of the function that packs groups of `width` rows (a power of two).

    Elements of type `dtype` become `packed`. The last group is filled with copies of its last row
    or zeros. Up to ``width - 1`` steps of k behind the last may be written; groups are packed in
    order, so only those behind the last group need memory of their own.
    """
    text = Text()
    elements = Elements(text, dtype, packed, width)
    by_k = text.compare("eq", "%s_k", elements.item)
    with text.when(by_k):
        with text.loop(0, "%rows", width) as row:
            _transpose_group(text, elements, row)
        text.otherwise()
        with text.when(text.compare("eq", "%s_row", elements.item)):
            _copy(text, elements)
            text.otherwise()
            _gather(text, elements)
    return text.function(name_of(isa, dtype, width), PARAMETERS, isa.attributes)


def _group(text: Text, row: str, width: int) -> str:
    """Where the group that begins at `row` goes."""
    return text.at("%target", text.mul(text.binary("divui", row, width), "%t_group"))


def _transpose_group(text: Text, elements: Elements, row: str) -> None:
    """Packs a group of rows along which k is contiguous."""
    item, width = elements.item, elements.lanes
    last = text.sub(text.sub("%rows", row), 1)
    source = text.at("%source", text.mul(row, "%s_row"))
    rows = [
        text.at(source, text.mul("%s_row", text.least(last, i))) if i else source
        for i in range(width)
    ]
    target = _group(text, row, width)
    whole = text.mul(text.binary("divui", "%k", width), width)
    with text.loop(0, whole, width) as k:
        along = text.mul(k, item)
        values = [elements.load(text.at(pointer, along)) for pointer in rows]
        _store_columns(text, elements, values, target, k)
    with text.when(text.compare("slt", whole, "%k")):
        mask = text.mask(text.sub("%k", whole), width)
        along = text.mul(whole, item)
        values = [elements.masked_load(text.at(p, along), mask) for p in rows]
        _store_columns(text, elements, values, target, whole)


def _store_columns(text: Text, elements: Elements, rows: list[str], target: str, k: str) -> None:
    start = text.at(target, text.mul(k, "%t_k"))
    for i, column in enumerate(transposed(text, rows, elements.vector)):
        place = text.at(start, text.mul("%t_k", i)) if i else start
        _store(text, elements, column, place)


def _store(text: Text, elements: Elements, value: str, place: str) -> None:
    text.store(value, place, elements.vector, ITEM[elements.computed])


def transposed(text: Text, rows: list[str], vector: str) -> list[str]:
    """The columns of a square block of `rows`, a power of two.

    Pieces of `half` lanes change places between rows that lie `half` apart, for each power of two.
    Of 32-bit lanes the first two steps are done as unpacking within 128 bits, which is cheaper.
    """
    count, half = len(rows), 1
    if vector.endswith("xf32>") and count >= 4:
        rows = [v for row in range(0, count, 4) for v in _quads(text, rows[row : row + 4], vector)]
        half = 4
    while half < count:
        low = [lane if not lane & half else lane - half + _lanes(vector) for lane in range(count)]
        high = [lane + half if not lane & half else lane + _lanes(vector) for lane in range(count)]
        merged = list(rows)
        for row in range(count):
            if not row & half:
                pair = rows[row], rows[row + half]
                merged[row] = text.shuffle(*pair, low, vector)
                merged[row + half] = text.shuffle(*pair, high, vector)
        rows, half = merged, 2 * half
    return rows


def _lanes(vector: str) -> int:
    return int(vector.removeprefix("vector<").split("x")[0])


def _quads(text: Text, rows: list[str], vector: str) -> list[str]:
    """Transposes each 4x4 block of four vectors: the same 128 bits of all of them."""
    count = _lanes(vector)

    def unpack(left: str, right: str, unit: int, start: int) -> str:
        lanes = []
        for base in range(0, count, 4):
            for piece in range(2 // unit):
                first = base + start + piece * unit
                lanes += [*range(first, first + unit), *range(count + first, count + first + unit)]
        return text.shuffle(left, right, lanes, vector)

    a, b, c, d = rows
    low = unpack(a, b, 1, 0), unpack(c, d, 1, 0)
    high = unpack(a, b, 1, 2), unpack(c, d, 1, 2)
    return [unpack(*pair, 2, start) for pair in (low, high) for start in (0, 2)]


def _copy(text: Text, elements: Elements) -> None:
    """Packs rows that lie side by side for each k."""
    item, width = elements.item, elements.lanes
    whole = text.mul(text.binary("divui", "%rows", width), width)
    rest = text.sub("%rows", whole)
    ragged = text.compare("ne", rest, 0)
    mask = text.mask(rest, width)
    end = text.at("%target", text.mul(text.binary("divui", whole, width), "%t_group"))
    with text.loop(0, "%k") as k:
        source = text.at("%source", text.mul(k, "%s_k"))
        along = text.mul(k, "%t_k")
        with text.loop(0, whole, width) as row:
            value = elements.load(text.at(source, text.mul(row, item)))
            _store(text, elements, value, text.at(_group(text, row, width), along))
        with text.when(ragged):
            value = elements.masked_load(text.at(source, text.mul(whole, item)), mask)
            _store(text, elements, value, text.at(end, along))


def _gather(text: Text, elements: Elements) -> None:
    """Packs rows of any strides, element by element."""
    with text.loop(0, "%rows") as row:
        start = text.mul(text.binary("remui", row, elements.lanes), ITEM[elements.computed])
        target = text.at(_group(text, row, elements.lanes), start)
        source = text.at("%source", text.mul(row, "%s_row"))
        with text.loop(0, "%k") as k:
            value = elements.load_one(text.at(source, text.mul(k, "%s_k")))
            place = text.at(target, text.mul(k, "%t_k"))
            text.store(value, place, elements.computed, ITEM[elements.computed])
