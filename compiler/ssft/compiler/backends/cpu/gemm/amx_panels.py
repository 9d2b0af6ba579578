"""Packing for the matrix unit: operands become bf16 tiles of 16 rows by 32 steps of k.

A tile is 16 lines of 64 bytes. Of A a line holds 32 steps of one row; of B a pair of steps of 16
columns. With two planes, the second holds what rounding to bf16 left over. Pairs of steps are
treated as one 32-bit number, so that transposing A and B is the same.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm import panels
from ssft.compiler.backends.cpu.gemm.isa import ITEM, Amx
from ssft.compiler.backends.cpu.gemm.text import PTR, Text

SIDE = 16
DEPTH = 32
TILE = 1024
PARAMETERS = (
    ("source", PTR),
    ("s_row", "i64"),
    ("s_k", "i64"),
    ("rows", "i64"),
    ("k", "i64"),
    ("target", PTR),
    ("t_group", "i64"),
    ("t_plane", "i64"),
)
"""Tiles of 16 rows (of A; columns of B) follow each other; strides in bytes."""

_HALF, _WORD, _REAL = f"vector<{SIDE}xi16>", f"vector<{SIDE}xi32>", f"vector<{SIDE}xf32>"


def name_of(isa: Amx, dtype: str, operand: str) -> str:
    """The name of the function that packs operand ``"a"`` or ``"b"``."""
    return f"ssft_pack_{dtype}_{isa.name}_{operand}"


def pack(isa: Amx, dtype: str, operand: str) -> str:
    """The text of the function; a last tile of fewer steps is filled with zeros."""
    text, item = Text(), ITEM[dtype]
    whole = text.binary("divui", "%k", DEPTH)
    by_k = text.compare("eq", "%s_k", item)
    by_row = text.compare("eq", "%s_row", item)
    steps = text.select(text.either(by_k, by_row), whole, text.number(0))
    all_steps = text.binary("divui", text.add("%k", DEPTH - 1), DEPTH)
    with text.when(by_k):
        with text.loop(0, "%rows", SIDE) as row:
            place = _group(text, row)
            with text.loop(0, steps) as step:
                _along_k(text, isa, dtype, operand, (*place, step))
        text.otherwise()
        # Groups within a step: what lies side by side in memory is read at the same time.
        with text.loop(0, steps) as step, text.loop(0, "%rows", SIDE) as row:
            _along_rows(text, isa, dtype, operand, (*_group(text, row), step))
    with text.loop(0, "%rows", SIDE) as row:
        place = _group(text, row)
        with text.loop(steps, all_steps) as step:
            _by_element(text, isa, dtype, operand, (*place, step))
    return text.function(name_of(isa, dtype, operand), PARAMETERS, isa.attributes)


def _group(text: Text, row: str) -> tuple[str, str, str]:
    """Where 16 rows lie and go to, and how many of them there are."""
    source = text.at("%source", text.mul(row, "%s_row"))
    target = text.at("%target", text.mul(text.binary("divui", row, SIDE), "%t_group"))
    return source, target, text.least(text.sub("%rows", row), SIDE)


Where = tuple[str, str, str, str]


def _along_k(text: Text, isa: Amx, dtype: str, operand: str, where: Where) -> None:
    """Packs one tile of rows along which k is contiguous."""
    source, target, some, step = where
    last = text.sub(some, 1)
    along = text.mul(step, DEPTH * ITEM[dtype])
    lines: list[list[str]] = [[] for _ in range(isa.planes)]
    for row in range(SIDE):
        place = text.at(text.at(source, text.mul("%s_row", text.least(last, row))), along)
        if dtype == "bf16":
            lines[0].append(text.load(place, _WORD, 2))
            continue
        halves = [text.load(text.at(place, 64 * i), _REAL, 4) for i in (0, 1)]
        split = [_split(text, isa, half) for half in halves]
        for plane in range(isa.planes):
            pair = split[0][plane], split[1][plane]
            both = text.shuffle(*pair, range(DEPTH), f"vector<{SIDE}xbf16>")
            lines[plane].append(text(f"llvm.bitcast {both} : vector<{DEPTH}xbf16> to {_WORD}"))
    _store(text, lines, target, step, transpose=operand == "b")


def _along_rows(text: Text, isa: Amx, dtype: str, operand: str, where: Where) -> None:
    """Packs one tile of rows that lie side by side for each k."""
    source, target, some, step = where
    mask = text.mask(some, SIDE)
    start = text.at(source, text.mul(text.mul(step, DEPTH), "%s_k"))
    lines: list[list[str]] = [[] for _ in range(isa.planes)]
    for k in range(0, DEPTH, 2):
        places = [text.at(start, text.mul("%s_k", k + i)) for i in (0, 1)]
        values = [text.masked_load(place, mask, dtype, SIDE) for place in places]
        split = [[v] if dtype == "bf16" else _split(text, isa, v) for v in values]
        for plane in range(isa.planes):
            lines[plane].append(_pair(text, split[0][plane], split[1][plane]))
    _store(text, lines, target, step, transpose=operand == "a")


def _split(text: Text, isa: Amx, value: str) -> list[str]:
    """An f32 vector as the sum of `isa.planes` bf16 vectors."""
    half = f"vector<{SIDE}xbf16>"
    high = text(f"llvm.fptrunc {value} : {_REAL} to {half}")
    if isa.planes == 1:
        return [high]
    back = text(f"llvm.fpext {high} : {half} to {_REAL}")
    rest = text(f"llvm.fsub {value}, {back} : {_REAL}")
    return [high, text(f"llvm.fptrunc {rest} : {_REAL} to {half}")]


def _pair(text: Text, first: str, second: str) -> str:
    """Two bf16 vectors as one of 32-bit numbers, `first` in the lower halves."""
    words = []
    for value in (first, second):
        bits = text(f"llvm.bitcast {value} : vector<{SIDE}xbf16> to {_HALF}")
        words.append(text(f"llvm.zext {bits} : {_HALF} to {_WORD}"))
    shift = text(f"llvm.mlir.constant(dense<16> : {_WORD}) : {_WORD}")
    upper = text(f"llvm.shl {words[1]}, {shift} : {_WORD}")
    return text(f"llvm.or {words[0]}, {upper} : {_WORD}")


def _store(text: Text, lines: list[list[str]], target: str, step: str, transpose: bool) -> None:
    start = text.at(target, text.mul(step, TILE))
    for plane, values in enumerate(lines):
        if transpose:
            values = [text(f"llvm.bitcast {v} : {_WORD} to {_REAL}") for v in values]
            values = panels.transposed(text, values, _REAL)
        place = text.at(start, "%t_plane") if plane else start
        for number, value in enumerate(values):
            text.store(value, text.at(place, 64 * number), _REAL if transpose else _WORD, 64)


def _by_element(text: Text, isa: Amx, dtype: str, operand: str, where: Where) -> None:
    """Packs one tile element by element: the last one, and operands of any strides."""
    source, target, some, step = where
    start = text.at(target, text.mul(step, TILE))
    planes = [start, text.at(start, "%t_plane")][: isa.planes]
    zero = text(f"llvm.mlir.constant(dense<0> : {_WORD}) : {_WORD}")
    for place in planes:
        for line in range(SIDE):
            text.store(zero, text.at(place, 64 * line), _WORD, 64)
    first = text.mul(step, DEPTH)
    count = text.least(text.sub("%k", first), DEPTH)
    with text.loop(0, some) as row, text.loop(0, count) as k:
        place = text.at(source, text.mul(row, "%s_row"))
        place = text.at(place, text.mul(text.add(first, k), "%s_k"))
        value = text.load(place, dtype, ITEM[dtype])
        if operand == "a":
            offset = text.add(text.mul(row, 64), text.mul(k, 2))
        else:
            pair = text.mul(text.binary("divui", k, 2), 64)
            offset = text.add(text.add(pair, text.mul(row, 4)), text.mul(_odd(text, k), 2))
        halves = [value]
        if dtype != "bf16":
            halves = [text(f"llvm.fptrunc {value} : f32 to bf16")]
            back = text(f"llvm.fpext {halves[0]} : bf16 to f32")
            rest = text(f"llvm.fsub {value}, {back} : f32")
            halves.append(text(f"llvm.fptrunc {rest} : f32 to bf16"))
        for plane, half in zip(planes, halves, strict=False):
            text.store(half, text.at(plane, offset), "bf16", 2)


def _odd(text: Text, number: str) -> str:
    return text.binary("remui", number, 2)
