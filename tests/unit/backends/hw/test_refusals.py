"""What the accelerator cannot run is refused, with a reason, and never with a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from accelerator_steps import accelerator, machine, run

from ssft.compiler.backends.hw import compile_program
from ssft.compiler.diagnostics import UserError
from ssft.hwmodel.config import load_machine

sys.path.insert(0, str(Path(__file__).parents[1]))

from programs import argument, metric, step

X = "tensor<8x6xf32>"


def plan(body: str, result: str = X, **arguments: str) -> str:
    found = [argument(name, type_) for name, type_ in (arguments or {"x": X}).items()]
    return step(found, [metric(result)], f"{body}\n  return %r : {result}")


def refused(text: str, size: int | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        compile_program(text, machine("ssft-server", size))
    return caught.value


def scalar_code(code: str, element: str = "f32", yielded: str = "%y") -> str:
    type_ = X.replace("f32", element)
    return f"""
  %e = tensor.empty() : {type_}
  %r = linalg.generic {{indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,
      affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}}
      ins(%x : {type_}) outs(%e : {type_}) {{
  ^bb0(%a: {element}, %o: {element}):
    {code}
    linalg.yield {yielded} : {element}
  }} -> {type_}"""


def test_scalar_operations():
    error = refused(plan(scalar_code("%y = math.atan %a : f32")))
    assert "'linalg.generic' (1)" in error.message
    assert any("no operation 'math.atan'" in note for note in error.notes)


def test_all_operations_are_named_once():
    """Those that need what cannot be computed are looked at all the same."""
    body = f"""
  %a = "tensor.generate"() ({{
  ^bb0(%i: index, %j: index):
    %c = arith.constant 0.0 : f32
    "tensor.yield"(%c) : (f32) -> ()
  }}) : () -> {X}
  %b = arith.addf %a, %x : {X}
  %d = tensor.reshape %b(%s) : ({X}, tensor<2xindex>) -> {X}
  %r = tensor.cast %x : {X} to {X}"""
    error = refused(plan(body, x=X, s="tensor<2xindex>"))
    assert "cannot run 3 operations" in error.message
    for name in ("tensor.generate", "tensor.reshape", "tensor.cast"):
        assert f"'{name}' (1)" in error.message


@pytest.mark.parametrize("element", ["f16", "i16", "f8E4M3FN"])
def test_element_types(element):
    type_ = X.replace("f32", element)
    body = f"  %r = tensor.collapse_shape %x [[0, 1]] : {type_} into tensor<48x{element}>"
    error = refused(plan(body, f"tensor<48x{element}>", x=type_))
    assert f"no element type '{element}'" in error.message
    assert any("bf16, f32" in note for note in error.notes)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            f"""
  %c = tensor.extract %s[] : tensor<f32>
  %e = tensor.empty() : {X}
  %r = linalg.fill ins(%c : f32) outs(%e : {X}) -> {X}""",
            "computed value",
        ),
        (
            f"""
  %c = arith.constant 1 : index
  %l = tensor.extract %i[%c] : tensor<2xi64>
  %k = arith.index_cast %l : i64 to index
  %p = tensor.extract_slice %x[%k, 0] [2, 6] [1, 1] : {X} to tensor<2x6xf32>
  %r = tensor.insert_slice %p into %x[0, 0] [2, 6] [1, 1] : tensor<2x6xf32> into {X}""",
            "arith.index_cast",
        ),
    ],
)
def test_computed_numbers(body, reason):
    error = refused(plan(body, x=X, s="tensor<f32>", i="tensor<2xi64>"))
    assert reason in " ".join([error.message, *error.notes])


def test_negative_padding_is_no_slice():
    body = f"""
  %c = arith.constant 0.0 : f32
  %r = tensor.pad %x low[-1, 0] high[0, 0] {{
  ^bb0(%i: index, %j: index):
    tensor.yield %c : f32
  }} : {X} to tensor<7x6xf32>"""
    error = refused(plan(body, "tensor<7x6xf32>"))
    assert "negative" in " ".join(error.notes)


def test_a_plan_larger_than_memory():
    large = "tensor<65536x65536xf32>"
    text = plan(f"  %r = tensor.extract_slice %x[0, 0] [8, 6] [1, 1] : {large} to {X}", x=large)
    config = load_machine("ssft-edge", ["dram.bytes=4GiB"])
    with pytest.raises(UserError, match=r"the plan needs 17\.18 GB, the DRAM of 'ssft-edge'") as e:
        compile_program(text, config)
    assert any("17.18 GB input" in note for note in e.value.notes)


def product(m: int, k: int, n: int) -> str:
    a, b, c = (f"tensor<{i}x{j}xf32>" for i, j in ((m, k), (k, n), (m, n)))
    return plan(
        f"""
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : {c}
  %f = linalg.fill ins(%z : f32) outs(%e : {c}) -> {c}
  %r = linalg.matmul ins(%a, %b : {a}, {b}) outs(%f : {c}) -> {c}""",
        c,
        a=a,
        b=b,
    )


def test_tiles_that_do_not_fit():
    error = refused(product(64, 64, 64), 1024)
    for part in ("scratchpad", "'ssft-server'", "1024"):
        assert part in error.message
    assert any("larger scratchpad" in note for note in error.notes)
    random = np.random.default_rng(0)
    factors = [random.standard_normal((64, 64)).astype(np.float32) for _ in range(2)]
    (found,) = run(accelerator(product(64, 64, 64), machine("ssft-server", 1 << 13)), factors)
    np.testing.assert_allclose(found, factors[0] @ factors[1], atol=0.2)


def test_a_table_that_is_looked_up_and_does_not_fit():
    table = "tensor<3000xf32>"
    code = f"""%k = linalg.index 0 : index
    %v = tensor.extract %t[%k] : {table}
    %y = arith.addf %v, %a : f32"""
    text = plan(scalar_code(code), x=X, t=table)
    assert "'t' of 12000 bytes is looked up element by element" in refused(text, 1 << 13).message
    random = np.random.default_rng(0)
    x, t = (random.standard_normal(shape).astype(np.float32) for shape in ((8, 6), 3000))
    (found,) = run(accelerator(text, machine()), [x, t])
    np.testing.assert_array_equal(found, x + t[:8, None])


def test_an_index_outside_of_its_table_is_no_traceback():
    text = plan(
        f"""  %r = "ssft.gather"(%x, %i) {{dim = 0 : i64}} : ({X}, tensor<2xi64>)
      -> tensor<2x6xf32>""",
        "tensor<2x6xf32>",
        x=X,
        i="tensor<2xi64>",
    )
    program = accelerator(text, machine())
    x = np.zeros((8, 6), np.float32)
    run(program, [x, np.array([7, 0])])
    for wrong in ([-1, 0], [0, 1 << 40]):
        with pytest.raises(UserError):
            run(program, [x, np.array(wrong)])
