"""Products by Intel's matrix unit (AMX): operands in bfloat16, sums in f32.

A bf16 product is done as it is. An f32 product is done with each operand split into one or two
bf16 numbers: ``x = high + low`` to 16 bits of mantissa, and ``A B`` is about ``high low' + low
high' + high high'`` (Henry, Tang & Heinecke 2019). Infinities become NaN, subnormal numbers zero.

The unit has eight tiles of 16 rows of 64 bytes. Four hold a 32x32 block of C; A comes as 16 rows of
32 steps of k, B as 16 pairs of steps for 16 columns. Registers of tiles are named in assembly: the
compiler knows nothing of them, and a call of this code leaves none of them configured.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm import amx_panels
from ssft.compiler.backends.cpu.gemm.amx_panels import DEPTH, SIDE, TILE
from ssft.compiler.backends.cpu.gemm.form import Product, Types
from ssft.compiler.backends.cpu.gemm.goto import PARAMETERS, Blocks
from ssft.compiler.backends.cpu.gemm.isa import (
    ARCH_PRCTL,
    ARCH_REQ_XCOMP_PERM,
    ITEM,
    XFEATURE_XTILEDATA,
    Amx,
)
from ssft.compiler.backends.cpu.gemm.text import PTR, Text

BLOCK = 2 * SIDE
"""Rows and columns of C that four tiles hold."""

_CONFIGURATION = "ssft_amx_tiles"
_PERMITTED = "ssft_amx_permitted"
_TILE_PARAMETERS = (
    ("steps", "i64"),
    ("a", PTR),
    ("a_group", "i64"),
    ("a_plane", "i64"),
    ("b", PTR),
    ("b_group", "i64"),
    ("b_plane", "i64"),
    ("c", PTR),
    ("c_m", "i64"),
    ("rows", "i64"),
    ("columns", "i64"),
    ("add", "i1"),
)


def name_of(isa: Amx, types: Types) -> str:
    """The name of the function that multiplies; its parameters are `goto.PARAMETERS`."""
    return f"ssft_gemm_{types.name}_{isa.name}"


def functions(isa: Amx, types: Types) -> dict[str, str]:
    """The function that multiplies and all that it needs, by name."""
    packed, dtype = types.operands, types.result
    return {
        _CONFIGURATION: _configuration(),
        _PERMITTED: f"llvm.mlir.global internal @{_PERMITTED}(0 : i64) : i64",
        amx_panels.name_of(isa, packed, "a"): amx_panels.pack(isa, packed, "a"),
        amx_panels.name_of(isa, packed, "b"): amx_panels.pack(isa, packed, "b"),
        _tile_name(isa, dtype): _tile_kernel(isa, dtype),
        name_of(isa, types): _multiply(isa, types),
    }


def blocks(product: Product, isa: Amx) -> Blocks:
    """Blocks whose panel of B fits into the first-level cache, and A's block into the second.

    bf16 results are sums over all of k: they are rounded once.
    """
    if product.dtype == "bf16":
        return Blocks(
            mc=max(BLOCK, (1 << 19) // product.k.size // BLOCK * BLOCK), kc=product.k.size
        )
    parts = -(-product.k.size // 512)
    return Blocks(mc=512, nc=4 * BLOCK, kc=-(-product.k.size // parts // DEPTH) * DEPTH)


def workspace(isa: Amx, product: Product, blocks: Blocks) -> tuple[int, int]:
    """Bytes of packed panels of A and of B."""
    group = -(-min(blocks.kc, product.k.size) // DEPTH) * TILE
    rows, columns = (
        -(-min(block, size) // BLOCK)
        for block, size in ((blocks.mc, product.m.size), (blocks.nc, product.n.size))
    )
    return 2 * rows * group * isa.planes, 2 * columns * group * isa.planes


def _configuration() -> str:
    """Palette 1; all tiles have 16 rows of 64 bytes."""
    data = bytes([1] + [0] * 15) + (64).to_bytes(2, "little") * 8 + bytes(16) + bytes([16] * 8)
    escaped = "".join(f"\\{byte:02X}" for byte in data.ljust(64, b"\0"))
    return (
        f'llvm.mlir.global internal constant @{_CONFIGURATION}("{escaped}") '
        f"{{alignment = 64 : i64}} : !llvm.array<64 x i8>"
    )


def _assembly(text: Text, code: str, operands: tuple[str, ...] = (), types: str = "") -> None:
    constraints = ",".join(["r"] * len(operands) + ["~{memory}"])
    values = ", ".join(operands) + " " if operands else ""
    text.do(
        f'llvm.inline_asm has_side_effects asm_dialect = intel "{code}", "{constraints}" '
        f"{values}: ({types}) -> ()"
    )


def _ask(text: Text) -> None:
    """Asks the kernel once per process for the unit's registers, which it saves on switches."""
    flag = text(f"llvm.mlir.addressof @{_PERMITTED} : {PTR}")
    with text.when(text.compare("eq", text.load(flag, "i64", 8), 0)):
        request = (ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
        numbers = [text.number(value) for value in request]
        text(
            'llvm.inline_asm has_side_effects asm_dialect = intel "syscall", '
            '"={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}" '
            f"{', '.join(numbers)} : (i64, i64, i64) -> i64"
        )
        text.store(text.number(1), flag, "i64", 8)


def _multiply(isa: Amx, types: Types) -> str:
    text, packed, dtype = Text(), types.operands, types.result
    _ask(text)
    configuration = text(f"llvm.mlir.addressof @{_CONFIGURATION} : {PTR}")
    _assembly(text, "ldtilecfg [$0]", (configuration,), PTR)
    with text.loop(0, "%k", "%kc") as pc:
        depth = text.least(text.sub("%k", pc), "%kc")
        steps = text.binary("divui", text.add(depth, DEPTH - 1), DEPTH)
        group = text.mul(steps, TILE)
        add = text.either("%add", text.compare("ne", pc, 0))
        b = text.at("%b", text.mul(pc, "%b_k"))
        with text.loop(0, "%m", "%mc") as ic:
            rows = text.least(text.sub("%m", ic), "%mc")
            a = text.at(text.at("%a", text.mul(ic, "%a_m")), text.mul(pc, "%a_k"))
            plane = _plane(text, group, rows)
            values = (a, "%a_m", "%a_k", rows, depth, "%panels_a", group, plane)
            _call(text, amx_panels.name_of(isa, packed, "a"), values, amx_panels.PARAMETERS)
            with text.loop(0, "%n", "%nc") as jc:
                columns = text.least(text.sub("%n", jc), "%nc")
                b_plane = _plane(text, group, columns)
                start = text.at(b, text.mul(jc, "%b_n"))
                values = (start, "%b_n", "%b_k", columns, depth, "%panels_b", group, b_plane)
                _call(text, amx_panels.name_of(isa, packed, "b"), values, amx_panels.PARAMETERS)
                c = text.at(text.at("%c", text.mul(ic, "%c_m")), text.mul(jc, ITEM[dtype]))
                sizes, planes = (rows, columns, steps), (group, plane, b_plane)
                _block(text, isa, dtype, c, sizes, planes, add)
    _assembly(text, "tilerelease")
    return text.function(name_of(isa, types), PARAMETERS, isa.attributes)


def _plane(text: Text, group: str, rows: str) -> str:
    """Bytes of all groups of 16 rows, an even number of them."""
    blocks = text.binary("divui", text.add(rows, BLOCK - 1), BLOCK)
    return text.mul(text.mul(blocks, 2), group)


def _block(
    text: Text,
    isa: Amx,
    dtype: str,
    c: str,
    sizes: tuple[str, str, str],
    planes: tuple[str, str, str],
    add: str,
) -> None:
    """Multiplies packed blocks of A and B; a panel of B stays in the cache for all of A."""
    rows, columns, steps = sizes
    group, a_plane, b_plane = planes
    with text.loop(0, columns, BLOCK) as j:
        right = text.at("%panels_b", text.mul(group, text.binary("divui", j, SIDE)))
        width = text.least(text.sub(columns, j), BLOCK)
        target = text.at(c, text.mul(j, ITEM[dtype]))
        with text.loop(0, rows, BLOCK) as i:
            left = text.at("%panels_a", text.mul(group, text.binary("divui", i, SIDE)))
            tile = text.at(target, text.mul(i, "%c_m"))
            height = text.least(text.sub(rows, i), BLOCK)
            values = (steps, left, group, a_plane, right, group, b_plane, tile, "%c_m")
            _call(text, _tile_name(isa, dtype), (*values, height, width, add), _TILE_PARAMETERS)


def _tile_name(isa: Amx, dtype: str) -> str:
    return f"ssft_tile_{dtype}_{isa.name}"


def _tile_kernel(isa: Amx, dtype: str) -> str:
    """The function that computes one 32x32 block of C from a panel of A and one of B."""
    text = Text()
    count = text("llvm.mlir.constant(1 : i64) : i64")
    scratch = text(
        f"llvm.alloca {count} x !llvm.array<{BLOCK * BLOCK} x f32> {{alignment = 64 : i64}} : "
        f"(i64) -> {PTR}"
    )
    _fetch(text, ITEM[dtype])
    _assembly(text, "; ".join(f"tilezero tmm{i}" for i in range(4)))
    _sum(text, isa)
    parts = [text.at(scratch, (i * SIDE * BLOCK + j * SIDE) * 4) for i in (0, 1) for j in (0, 1)]
    store = "; ".join(f"tilestored [${i}+$4], tmm{i}" for i in range(4))
    stride = text.number(BLOCK * 4)
    _assembly(text, store, (*parts, stride), f"{PTR}, {PTR}, {PTR}, {PTR}, i64")
    _update(text, dtype, scratch)
    return text.function(_tile_name(isa, dtype), _TILE_PARAMETERS, isa.attributes)


_STEP = (
    "tileloadd tmm6, [$2+$4]; tileloadd tmm4, [$0+$4]; tdpbf16ps tmm0, tmm4, tmm6; "
    "tileloadd tmm7, [$3+$4]; tdpbf16ps tmm1, tmm4, tmm7; "
    "tileloadd tmm5, [$1+$4]; tdpbf16ps tmm2, tmm5, tmm6; tdpbf16ps tmm3, tmm5, tmm7"
)
_SPLIT_STEP = (
    "tileloadd tmm6, [$6+$8]; tileloadd tmm4, [$0+$8]; tdpbf16ps tmm0, tmm4, tmm6; "
    "tileloadd tmm7, [$7+$8]; tdpbf16ps tmm1, tmm4, tmm7; "
    "tileloadd tmm5, [$1+$8]; tdpbf16ps tmm2, tmm5, tmm6; tdpbf16ps tmm3, tmm5, tmm7; "
    "tileloadd tmm6, [$4+$8]; tdpbf16ps tmm0, tmm4, tmm6; "
    "tileloadd tmm7, [$5+$8]; tdpbf16ps tmm1, tmm4, tmm7; "
    "tdpbf16ps tmm2, tmm5, tmm6; tdpbf16ps tmm3, tmm5, tmm7; "
    "tileloadd tmm4, [$2+$8]; tdpbf16ps tmm0, tmm4, tmm6; tdpbf16ps tmm1, tmm4, tmm7; "
    "tileloadd tmm5, [$3+$8]; tdpbf16ps tmm2, tmm5, tmm6; tdpbf16ps tmm3, tmm5, tmm7"
)
"""One step of k; operands: two tiles of A (and of what rounding left), of B likewise, 64."""


def _sum(text: Text, isa: Amx) -> None:
    """Sums over k in tiles 0 to 3."""
    planes = range(isa.planes)
    line = text.number(64)
    starts = []
    for letter in "ab":
        for plane in planes:
            start = text.at(f"%{letter}", f"%{letter}_plane") if plane else f"%{letter}"
            starts += [start, text.at(start, f"%{letter}_group")]
    with text.loop(0, "%steps") as step:
        along = text.mul(step, TILE)
        places = [text.at(start, along) for start in starts]
        types = ", ".join([PTR] * len(places) + ["i64"])
        _assembly(text, _STEP if isa.planes == 1 else _SPLIT_STEP, (*places, line), types)


def _fetch(text: Text, item: int) -> None:
    """Asks for the block of C."""
    with text.loop(0, "%rows") as row:
        place = text.at("%c", text.mul("%c_m", row))
        for line in range(0, BLOCK * item, 64):
            text.prefetch(text.at(place, line), level=1, write=True)


def _update(text: Text, dtype: str, scratch: str) -> None:
    """Writes the sums to C, as many rows and columns as it has."""
    item, sums, vector = ITEM[dtype], f"vector<{SIDE}xf32>", f"vector<{SIDE}x{dtype}>"
    masks = [text.mask(text.sub("%columns", j * SIDE), SIDE) for j in (0, 1)]

    def narrow(value: str) -> str:
        return value if dtype == "f32" else text(f"llvm.fptrunc {value} : {sums} to {vector}")

    with text.loop(0, "%rows") as row:
        source = text.at(scratch, text.mul(row, BLOCK * 4))
        target = text.at("%c", text.mul("%c_m", row))
        for j, mask in enumerate(masks):
            value = text.load(text.at(source, j * SIDE * 4), sums, 64)
            place = text.at(target, j * SIDE * item)
            with text.when("%add"):
                before = text.masked_load(place, mask, dtype, SIDE)
                if dtype != "f32":
                    before = text(f"llvm.fpext {before} : {vector} to {sums}")
                total = text(f"llvm.fadd {before}, {value} : {sums}")
                text.masked_store(narrow(total), place, mask, dtype, SIDE)
                text.otherwise()
                text.masked_store(narrow(value), place, mask, dtype, SIDE)


def _call(
    text: Text, name: str, values: tuple[str, ...], parameters: tuple[tuple[str, str], ...]
) -> None:
    types = (type_ for _, type_ in parameters)
    text.call(name, list(zip(values, types, strict=True)))


__all__ = ["BLOCK", "blocks", "functions", "name_of", "workspace"]
