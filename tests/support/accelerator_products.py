"""Plans of one matrix product each."""

from __future__ import annotations

from ssft.compiler.backends.hw.tiles.boxes import Walk
from ssft.compiler.backends.hw.tiles.product_space import Operand
from ssft.hwmodel.isa.dtypes import DType

LAYOUTS = {"nt": (True, True), "nn": (True, False), "tt": (False, True), "tn": (False, False)}
"""Of a and b: whether k is their inner dimension."""


def product(layout: str, m: int, n: int, k: int) -> str:
    """A plan of one product, of operands that only the tensor unit reads."""
    inner = LAYOUTS[layout]
    (a, a_type), (b, b_type) = (
        (f"({o}, k)", f"tensor<{e}x{k}xf32>") if last else (f"(k, {o})", f"tensor<{k}x{e}xf32>")
        for last, o, e in zip(inner, "mn", (m, n), strict=True)
    )
    return f"""
#a = affine_map<(m, n, k) -> {a}>
#b = affine_map<(m, n, k) -> {b}>
#c = affine_map<(m, n, k) -> (m, n)>
#rows = affine_map<(m, n) -> (m, n)>
#columns = affine_map<(m, n) -> (n, m)>
module attributes {{ssft.version = 1 : i64}} {{
  func.func @step(%a: {a_type} {{ssft.role = "frozen", ssft.name = "a"}},
                  %b: {b_type} {{ssft.role = "frozen", ssft.name = "b"}})
      -> (tensor<{m}x{n}xf32> {{ssft.role = "loss"}}) {{
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<{m}x{n}xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
    %c = linalg.matmul indexing_maps = [#a, #b, #c] ins(%a, %b : {a_type}, {b_type})
        outs(%start : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
    return %c : tensor<{m}x{n}xf32>
  }}
}}"""


def half_precision(layout: str, m: int, n: int, k: int, transposed: bool = False) -> str:
    """The same in bf16: sums are rounded by an operation of their own, which may transpose them."""
    sums, order = f"tensor<{m}x{n}xf32>", "#columns" if transposed else "#rows"
    half = f"tensor<{n}x{m}xbf16>" if transposed else f"tensor<{m}x{n}xbf16>"
    text = product(layout, m, n, k).replace(
        f"return %c : {sums}",
        f"""%half = tensor.empty() : {half}
    %rounded = linalg.generic {{indexing_maps = [#rows, {order}],
        iterator_types = ["parallel", "parallel"]}} ins(%c : {sums}) outs(%half : {half}) {{
    ^bb0(%sum: f32, %old: bf16):
      %low = arith.truncf %sum : f32 to bf16
      linalg.yield %low : bf16
    }} -> {half}
    return %rounded : {half}""",
    )
    text = text.replace(f"-> ({sums}", f"-> ({half}")
    head, _, body = text.partition("%zero")
    lines = body.splitlines()
    factors = next(number for number, line in enumerate(lines) if "linalg.matmul" in line)
    lines[factors] = lines[factors].replace("xf32>", "xbf16>")
    return head.replace("xf32>", "xbf16>") + "%zero" + "\n".join(lines)


def operands(layout: str, m: int, n: int, k: int, c: DType) -> tuple[Operand, Operand, Operand]:
    """The operands of such a product of bf16 factors, along m, n and k."""
    a_inner, b_inner = LAYOUTS[layout]
    a = Operand(
        Walk(0, (m, 1, k), (k, 0, 1) if a_inner else (1, 0, m)), (True, False, True), "bf16"
    )
    b = Operand(
        Walk(0, (1, n, k), (0, k, 1) if b_inner else (0, 1, n)), (False, True, True), "bf16"
    )
    result = Operand(Walk(0, (m, n, 1), (n, 1, 0)), (True, True, False), c)
    return a, b, result
