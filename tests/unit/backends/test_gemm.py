"""Every layout of a matrix product reaches BLAS, without copies where the strides allow it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssft.compiler.backends.cpu.gemm import product_of
from ssft.compiler.backends.cpu.gemm.form import Axis
from ssft.compiler.backends.cpu.layout import Layout, row_major

sys.path.insert(0, str(Path(__file__).parent))

from programs import argument, metric, run, step

TOLERANCE = {"f32": 2e-5, "f64": 1e-12}

# Name: einsum of A and B, and the shapes. The letters also are the loops.
CONTRACTIONS = {
    "matmul": ("mk,kn->mn", (24, 16, 40)),
    "transposed a": ("km,kn->mn", (24, 16, 40)),
    "transposed b": ("mk,nk->mn", (24, 16, 40)),
    "transposed a and b": ("km,nk->mn", (24, 16, 40)),
    "transposed c": ("mk,kn->nm", (24, 16, 40)),
    "batch": ("bmk,bkn->bmn", (24, 16, 40)),
    "batch, transposed b": ("bmk,bnk->bmn", (24, 16, 40)),
    "batch inside": ("mbk,kbn->mbn", (24, 16, 40)),
    "batch innermost": ("mkb,knb->mnb", (40, 40, 40)),
    "heads": ("bmhk,bnhk->bhmn", (24, 16, 40)),
    "two contracted loops": ("klm,kln->mn", (24, 16, 40)),
    "contracted loops apart": ("kml,knl->mn", (24, 16, 40)),
    "vector": ("mk,k->m", (24, 16, 40)),
    "outer product": ("mk,nk->mn", (24, 16, 1)),
    "tiny": ("mk,kn->mn", (2, 3, 2)),
}


def sizes_of(sizes: tuple[int, int, int]) -> dict[str, int]:
    m, n, k = sizes
    return {"m": m, "n": n, "k": k, "b": 3, "h": 2, "l": 5}


def contraction(equation: str, sizes: tuple[int, int, int], dtype: str) -> str:
    """A step that computes `equation` as a generic operation, starting from zeros."""
    inputs, output = equation.split("->")
    names = [*inputs.split(","), output]
    size = sizes_of(sizes)
    loops = sorted(set("".join(names)), key=lambda loop: (loop not in output, loop))
    domain = ", ".join(f"d{i}" for i in range(len(loops)))
    maps = ", ".join(
        f"affine_map<({domain}) -> ({', '.join(f'd{loops.index(c)}' for c in name)})>"
        for name in names
    )
    kinds = ", ".join(f'"{"parallel" if c in output else "reduction"}"' for c in loops)
    a, b, c = (f"tensor<{''.join(f'{size[x]}x' for x in name)}{dtype}>" for name in names)
    body = f"""
      %zero = arith.constant 0.0 : {dtype}
      %empty = tensor.empty() : {c}
      %init = linalg.fill ins(%zero : {dtype}) outs(%empty : {c}) -> {c}
      %r = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
          ins(%a, %b : {a}, {b}) outs(%init : {c}) {{
      ^bb0(%x: {dtype}, %y: {dtype}, %s: {dtype}):
        %p = arith.mulf %x, %y : {dtype}
        %t = arith.addf %s, %p : {dtype}
        linalg.yield %t : {dtype}
      }} -> {c}
      return %r : {c}"""
    return step([argument("a", a), argument("b", b)], [metric(c)], body)


def check_contraction(equation: str, sizes: tuple[int, int, int], dtype: str) -> dict[str, Any]:
    random = np.random.default_rng(0)
    size = sizes_of(sizes)
    left, right = equation.split("->")[0].split(",")
    real = np.float32 if dtype == "f32" else np.float64
    a = random.standard_normal([size[x] for x in left]).astype(real)
    b = random.standard_normal([size[x] for x in right]).astype(real)
    program, (c,) = run(contraction(equation, sizes, dtype), [a, b])
    wanted = np.einsum(equation, a.astype(np.float64), b.astype(np.float64))
    return {
        "error": float(np.abs(c - wanted).max() / np.abs(wanted).max()),
        "kernels": [call.kernel.split("_")[0] for call in program.schedule.calls],
    }


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", CONTRACTIONS)
def test_contraction(isolated: Callable[..., Any], name: str, dtype: str) -> None:
    found = isolated("check_contraction", *CONTRACTIONS[name], dtype)
    assert found["error"] < TOLERANCE[dtype]
    kernels = {
        "tiny": ["kernel"],
        "outer product": ["kernel"],  # no sum is left: an element-wise operation
        # In these no loop of the matrices has stride 1 in an operand, which is copied.
        "contracted loops apart": ["copy", "copy", "gemm"],
        "batch innermost": ["copy", "copy", "gemm", "copy"],
    }
    assert found["kernels"] == kernels.get(name, ["gemm"])


def check_slices(dtype: str) -> dict[str, Any]:
    """Columns 4..12 of A times rows 2..10 of B, into columns 3..9 of a larger C."""
    big, part = f"tensor<32x10x{dtype}>", f"tensor<32x6x{dtype}>"
    a_type, b_type = f"tensor<32x16x{dtype}>", f"tensor<12x6x{dtype}>"
    x_type, y_type = f"tensor<32x8x{dtype}>", f"tensor<8x6x{dtype}>"
    body = f"""
      %x = tensor.extract_slice %a[0, 4] [32, 8] [1, 1] : {a_type} to {x_type}
      %y = tensor.extract_slice %b[2, 0] [8, 6] [1, 1] : {b_type} to {y_type}
      %zero = arith.constant 0.0 : {dtype}
      %empty = tensor.empty() : {part}
      %init = linalg.fill ins(%zero : {dtype}) outs(%empty : {part}) -> {part}
      %r = linalg.matmul ins(%x, %y : {x_type}, {y_type}) outs(%init : {part}) -> {part}
      %w = tensor.insert_slice %r into %c[0, 3] [32, 6] [1, 1] : {part} into {big}
      return %w : {big}"""
    arguments = [
        argument("a", a_type),
        argument("b", b_type),
        argument("c", big, "trainable"),
    ]
    text = step(arguments, [f"{big} {{ssft.updates_arg = 2 : i64}}"], body)
    random = np.random.default_rng(0)
    real = np.float32 if dtype == "f32" else np.float64
    a, b, c = (random.standard_normal(s).astype(real) for s in ((32, 16), (12, 6), (32, 10)))
    wanted = c.copy()
    wanted[:, 3:9] = a[:, 4:12] @ b[2:10]
    program, _ = run(text, [a, b, c])
    return {
        "error": float(np.abs(c - wanted).max()),
        "kernels": [call.kernel.split("_")[0] for call in program.schedule.calls],
    }


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_slices_are_multiplied_where_they_lie(isolated: Callable[..., Any], dtype: str) -> None:
    found = isolated("check_slices", dtype)
    assert found["error"] < TOLERANCE[dtype]
    assert found["kernels"] == ["gemm"]


def check_accumulate() -> float:
    body = """
      %r = linalg.matmul ins(%a, %b : tensor<16x16xf32>, tensor<16x16xf32>)
          outs(%c : tensor<16x16xf32>) -> tensor<16x16xf32>
      return %r : tensor<16x16xf32>"""
    type_ = "tensor<16x16xf32>"
    text = step([argument(n, type_) for n in "abc"], [metric(type_)], body)
    a, b, c = (np.random.default_rng(i).standard_normal((16, 16), np.float32) for i in range(3))
    before = c.copy()
    _, (result,) = run(text, [a, b, c])
    assert (c == before).all(), "an input was overwritten"
    return float(np.abs(result - (c + a @ b)).max())


def test_product_is_added_to_what_is_there(isolated: Callable[..., Any]) -> None:
    assert isolated("check_accumulate") < 1e-5


def check_integers() -> bool:
    body = """
      %zero = arith.constant 0 : i64
      %empty = tensor.empty() : tensor<8x8xi64>
      %init = linalg.fill ins(%zero : i64) outs(%empty : tensor<8x8xi64>) -> tensor<8x8xi64>
      %r = linalg.matmul ins(%a, %b : tensor<8x8xi64>, tensor<8x8xi64>)
          outs(%init : tensor<8x8xi64>) -> tensor<8x8xi64>
      return %r : tensor<8x8xi64>"""
    type_ = "tensor<8x8xi64>"
    text = step([argument(n, type_) for n in "ab"], [metric(type_)], body)
    a, b = (np.random.default_rng(i).integers(-9, 9, (8, 8)) for i in range(2))
    return bool((run(text, [a, b])[1][0] == a @ b).all())


def test_other_types_run_as_loops(isolated: Callable[..., Any]) -> None:
    assert isolated("check_integers")


def check_bfloat16() -> float:
    type_ = "tensor<16x16xbf16>"
    body = f"""
      %zero = arith.constant 0.0 : bf16
      %empty = tensor.empty() : {type_}
      %init = linalg.fill ins(%zero : bf16) outs(%empty : {type_}) -> {type_}
      %r = linalg.matmul ins(%a, %b : {type_}, {type_}) outs(%init : {type_}) -> {type_}
      return %r : {type_}"""
    text = step([argument(n, type_) for n in "ab"], [metric(type_)], body)
    a, b = (np.random.default_rng(i).integers(-3, 3, (16, 16)).astype(np.float32) for i in range(2))
    bits = [(x.view(np.uint32) >> 16).astype(np.uint16) for x in (a, b)]
    result = (run(text, bits)[1][0].astype(np.uint32) << 16).view(np.float32)
    return float(np.abs(result - a @ b).max())


def test_bfloat16_is_exact_on_small_integers(isolated: Callable[..., Any]) -> None:
    assert isolated("check_bfloat16") == 0.0


def test_loops_merge_where_strides_nest() -> None:
    # x[batch, token, in] and dy[batch, token, out]: the contracted loops are one.
    maps = [(0, 1, 2), (0, 1, 3), (2, 3)]
    layouts = [row_major(shape, "f32") for shape in ((2, 8, 16), (2, 8, 32), (16, 32))]
    product = product_of(maps, layouts, accumulate=False)
    assert product.k == Axis(16, a=16, b=32)
    assert (product.m.size, product.n.size, product.outer) == (16, 32, ())


def test_loops_stay_apart_where_strides_do_not_nest() -> None:
    maps = [(0, 1, 2), (0, 1, 3), (2, 3)]
    cut = Layout((2, 8, 16), (256, 16, 1), 0, "f32")  # every second half of a larger batch
    layouts = [cut, *(row_major(shape, "f32") for shape in ((2, 8, 32), (16, 32)))]
    product = product_of(maps, layouts, accumulate=False)
    assert product.k == Axis(8, a=16, b=32)
    assert product.outer == (Axis(2, a=256, b=256),)
    assert product.independent == 0
