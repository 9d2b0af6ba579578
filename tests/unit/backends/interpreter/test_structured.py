"""Loop nests: how operands are read, and reductions in every form."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.diagnostics import UserError

sys.path.insert(0, str(Path(__file__).parent))

from interpreting import evaluate, plan_text, same_bits, slow_sum, tensor, type_of

from ssft.compiler.backends.interpreter import interpret_step


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_operands_are_broadcast_transposed_and_indexed():
    x, row, scalar = normal(3, 4), normal(1, 4), normal(1)[0]
    body = """
      %c = arith.constant 2.0 : f32
      %s = tensor.extract %a2[] : tensor<f32>
      %e = tensor.empty() : tensor<4x3xf32>
      %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>,
          affine_map<(i, j) -> (0, i)>, affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}
          ins(%a0, %a1 : tensor<3x4xf32>, tensor<1x4xf32>) outs(%e : tensor<4x3xf32>) {
      ^bb0(%x: f32, %y: f32, %o: f32):
        %i = linalg.index 0 : index
        %n = arith.index_cast %i : index to i64
        %f = arith.sitofp %n : i64 to f32
        %p = arith.mulf %x, %c : f32
        %q = arith.addf %p, %y : f32
        %t = arith.addf %q, %f : f32
        %u = arith.mulf %t, %s : f32
        linalg.yield %u : f32
      } -> tensor<4x3xf32>
      return %r : tensor<4x3xf32>"""
    (found,) = evaluate(body, ["tensor<4x3xf32>"], x, row, np.array(scalar))
    expected = (x.T * 2 + row.T + np.arange(4, dtype=np.float32)[:, None]) * scalar
    assert same_bits(found, expected.astype(np.float32))


@pytest.mark.parametrize("loop", [0, 1])
def test_large_nests_are_computed_in_pieces(loop):
    """More elements than are worked on at a time, along a first loop that has just one, too."""
    shape = (1, 700, 200) if loop else (700, 1, 200)
    x, y = normal(*shape), normal(*shape[:2], 1)
    type_, column = type_of(x), type_of(y)
    body = f"""
      %e = tensor.empty() : {type_}
      %f = tensor.empty() : {tensor(shape, "i64")}
      %r:2 = linalg.generic {{indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>,
          affine_map<(i, j, k) -> (i, j, 0)>, affine_map<(i, j, k) -> (i, j, k)>,
          affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel",
          "parallel"]}} ins(%a0, %a1 : {type_}, {column}) outs(%e, %f : {type_}, {tensor(shape, "i64")}) {{
      ^bb0(%a: f32, %b: f32, %o: f32, %p: i64):
        %i = linalg.index {loop} : index
        %n = arith.index_cast %i : index to i64
        %m = arith.mulf %a, %b : f32
        %t = arith.addf %m, %a : f32
        linalg.yield %t, %n : f32, i64
      }} -> ({type_}, {tensor(shape, "i64")})
      return %r#0, %r#1 : {type_}, {tensor(shape, "i64")}"""  # noqa: E501 (a type does not break)
    found, positions = evaluate(body, [type_, tensor(shape, "i64")], x, y)
    assert same_bits(found, x * y + x)
    assert (positions == np.arange(700).reshape(1, -1, 1).swapaxes(loop, 1)).all()


def embedding(indices: np.ndarray, table: np.ndarray) -> np.ndarray:
    result = tensor((*indices.shape, table.shape[1]), "f32")
    body = f"""
      %e = tensor.empty() : {result}
      %r = linalg.generic {{indexing_maps = [affine_map<(b, s, h) -> (b, s)>,
          affine_map<(b, s, h) -> (b, s, h)>],
          iterator_types = ["parallel", "parallel", "parallel"]}}
          ins(%a0 : {type_of(indices)}) outs(%e : {result}) {{
      ^bb0(%n: i64, %o: f32):
        %i = arith.index_cast %n : i64 to index
        %h = linalg.index 2 : index
        %x = tensor.extract %a1[%i, %h] : {type_of(table)}
        linalg.yield %x : f32
      }} -> {result}
      return %r : {result}"""
    return evaluate(body, [result], indices, table)[0]


@pytest.mark.parametrize("shape", [(2, 3), (300, 120)])
def test_elements_are_looked_up(shape):
    indices, table = np.random.default_rng(0).integers(0, 4, shape), normal(4, 5)
    assert same_bits(embedding(indices, table), table[indices])


@pytest.mark.parametrize("wrong", [-1, 4])
def test_indices_out_of_range_are_an_error(wrong):
    with pytest.raises(UserError, match="dimension 0 is outside of 0 to 3"):
        embedding(np.array([[0, wrong]]), normal(4, 5))


def reduction(body: str, x: np.ndarray, kept: str, start: np.ndarray, **options) -> np.ndarray:
    """Reduces ``%a0`` over the loops of ``ijk`` that are not in `kept`, starting from ``%a1``."""
    loops = "ijk"[: x.ndim]
    dims = ", ".join(loops)
    kinds = ", ".join('"parallel"' if c in kept else '"reduction"' for c in loops)
    element = options.pop("element", type_of(x).rsplit("x", 1)[-1][:-1])
    types = [tensor(array.shape, element) for array in (x, start)]
    text = f"""
      %r = linalg.generic {{indexing_maps = [affine_map<({dims}) -> ({dims})>,
          affine_map<({dims}) -> ({", ".join(kept)})>], iterator_types = [{kinds}]}}
          ins(%a0 : {types[0]}) outs(%a1 : {types[1]}) {{
      ^bb0(%x: {element}, %o: {element}):
        {body}
        linalg.yield %y : {element}
      }} -> {types[1]}
      return %r : {types[1]}"""
    return evaluate(text, [types[1]], x, start, types=types, **options)[0]


ADD = "%y = arith.addf %x, %o : f32"
SQUARES = "%s = arith.mulf %x, %x : f32\n %y = arith.addf %o, %s : f32"


@pytest.mark.parametrize("body", [ADD, SQUARES])
@pytest.mark.parametrize("kept", ["", "i", "k", "j", "ki", "jk"])
def test_sums_in_the_accelerators_order(kept, body):
    """Terms in row-major order of the reduced loops, whatever loops these are."""
    x = normal(5, 7, 6)
    sizes = dict(zip("ijk", x.shape, strict=True))
    start = normal(*(sizes[c] for c in kept)) if kept else np.array(0.25, np.float32)
    found = reduction(body, x, kept, start, arithmetic="f32")
    terms = x * x if body is SQUARES else x
    order = ["ijk".index(c) for c in kept]
    order += [n for n in range(3) if n not in order]
    rows = terms.transpose(order).reshape(*start.shape, -1)
    expected = np.empty_like(start)
    for position in np.ndindex(start.shape):
        expected[position] = slow_sum(rows[position], start[position])
    assert same_bits(found, expected)
    plain = reduction(body, x, kept, start)
    np.testing.assert_allclose(plain, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 48, 333])
def test_sums_of_any_length(count):
    x = normal(count, 3)
    found = reduction(ADD, x, "j", np.zeros(3, np.float32), arithmetic="bf16")
    assert same_bits(found, np.array([slow_sum(x[:, n], 0) for n in range(3)]))


def test_sums_of_doubles_stay_in_double():
    x = np.random.default_rng(0).standard_normal((40, 2))
    body = "%y = arith.addf %x, %o : f64"
    found = reduction(body, x, "j", np.zeros(2), arithmetic="bf16")
    assert same_bits(found, np.array([slow_sum(x[:, n], 0, np.float64) for n in range(2)]))


def test_sums_of_bf16_round_every_addition():
    # Whole numbers up to 256 are bf16; a sum of f32, rounded at the end, would be 272.
    x, start = np.full((1, 16), 1.0, np.float32), np.array([256.0], np.float32)
    body = "%y = arith.addf %x, %o : bf16"
    (found,) = reduction(body, x, "i", start, element="bf16", arithmetic="bf16")
    assert found == 272.0
    ones = np.full((1, 32), 1.0, np.float32)
    ones[0, 1:16] = 0
    ones[0, 17:] = 0
    (found,) = reduction(body, ones, "i", start, element="bf16", arithmetic="bf16")
    assert found == 256.0  # 256 + 1 is a tie, to even, twice
    tree = np.zeros((1, 16), np.float32)
    tree[0, :3] = 256, 1, 1
    (found,) = reduction(body, tree, "i", 0 * start, element="bf16", arithmetic="bf16")
    assert found == 256.0
    (native,) = reduction(body, ones, "i", start, element="bf16")
    assert native == 258.0


FOLDS = {
    "maximumf %x, %o : f32": np.max,
    "minimumf %o, %x : f32": np.min,
    "maxnumf %x, %o : f32": np.max,
    "mulf %x, %o : f32": np.prod,
}


@pytest.mark.parametrize("arithmetic", ["native", "f32"])
@pytest.mark.parametrize("body", FOLDS)
def test_other_reductions(body, arithmetic):
    x = normal(3, 9)
    start = x[:, 0].copy()
    found = reduction(f"%y = arith.{body}", x, "i", start, arithmetic=arithmetic)
    expected = FOLDS[body](np.concatenate([start[:, None], x], 1).astype(np.float64), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("numbers", list(itertools.product([0.0, -0.0, -1.0], repeat=2)))
def test_maxima_know_the_signs_of_zeros(numbers):
    x, start = np.array([numbers], np.float32), np.full(1, -np.inf, np.float32)
    (found,) = reduction("%y = arith.maximumf %x, %o : f32", x, "i", start, arithmetic="f32")
    zeros = [np.signbit(number) for number in numbers if number == 0]
    assert found == max(numbers)
    assert np.signbit(found) == (all(zeros) if zeros else True)


def test_reductions_of_integers_and_booleans():
    x = np.random.default_rng(0).integers(-9, 9, (4, 20)).astype(np.int32)
    found = reduction("%y = arith.addi %x, %o : i32", x, "i", np.ones(4, np.int32))
    assert same_bits(found, (x.sum(1) + 1).astype(np.int32))
    flags = x > -8
    for name, function in (("andi", np.all), ("ori", np.any)):
        body = f"%y = arith.{name} %x, %o : i1"
        start = np.full(4, name == "andi")
        assert same_bits(reduction(body, flags, "i", start), function(flags, axis=1))


ARGMAX = """
      %m = arith.constant 0xFF800000 : f32
      %z = arith.constant 0 : i64
      %e = tensor.empty() : tensor<6xf32>
      %f = tensor.empty() : tensor<6xi64>
      %v = linalg.fill ins(%m : f32) outs(%e : tensor<6xf32>) -> tensor<6xf32>
      %w = linalg.fill ins(%z : i64) outs(%f : tensor<6xi64>) -> tensor<6xi64>
      %r:2 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>,
          affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>],
          iterator_types = ["parallel", "reduction"]}
          ins(%a0 : tensor<6x11xf32>) outs(%v, %w : tensor<6xf32>, tensor<6xi64>) {
      ^bb0(%x: f32, %o: f32, %p: i64):
        %i = linalg.index 1 : index
        %n = arith.index_cast %i : index to i64
        %y = arith.maximumf %x, %o : f32
        %c = arith.cmpf ogt, %x, %o : f32
        %s = arith.select %c, %n, %p : i64
        linalg.yield %y, %s : f32, i64
      } -> (tensor<6xf32>, tensor<6xi64>)
      return %r#0, %r#1 : tensor<6xf32>, tensor<6xi64>"""


def test_maximum_and_its_position():
    x = np.random.default_rng(0).integers(0, 5, (6, 11)).astype(np.float32)  # with ties
    for arithmetic in ("native", "f32"):
        largest, position = evaluate(
            ARGMAX, ["tensor<6xf32>", "tensor<6xi64>"], x, arithmetic=arithmetic
        )
        assert same_bits(largest, x.max(1))
        assert same_bits(position, x.argmax(1))


LOOKING = """
      %r:2 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>,
          affine_map<(i) -> ()>], iterator_types = ["reduction"]}
          ins(%a0 : tensor<4xf32>) outs(%a1, %a2 : tensor<f32>, tensor<f32>) {
      ^bb0(%x: f32, %o: f32, %p: f32):
        %s = arith.addf %x, %o : f32
        %y = arith.mulf %p, %o : f32
        linalg.yield %s, %y : f32, f32
      } -> (tensor<f32>, tensor<f32>)
      return %r#0, %r#1 : tensor<f32>, tensor<f32>"""


def test_a_reduction_may_look_at_another_ones_running_value():
    x, one = np.array([1, 2, 3, 4], np.float32), np.ones((), np.float32)
    total, product = evaluate(LOOKING, ["tensor<f32>"] * 2, x, one, one)
    assert (total, product) == (11, 1 * 2 * 4 * 7)
    with pytest.raises(UserError, match="running sum"):
        evaluate(LOOKING, ["tensor<f32>"] * 2, x, one, one, arithmetic="f32")


def test_unit_dimensions_are_kept():
    x = normal(3, 20)
    body = """
      %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>,
          affine_map<(i, j) -> (i, 0)>], iterator_types = ["parallel", "reduction"]}
          ins(%a0 : tensor<3x20xf32>) outs(%a1 : tensor<3x1xf32>) {
      ^bb0(%x: f32, %o: f32):
        %y = arith.addf %x, %o : f32
        linalg.yield %y : f32
      } -> tensor<3x1xf32>
      return %r : tensor<3x1xf32>"""
    start = normal(3, 1)
    (found,) = evaluate(body, ["tensor<3x1xf32>"], x, start, arithmetic="f32")
    expected = np.array([[slow_sum(x[n], start[n, 0])] for n in range(3)])
    assert same_bits(found, expected)


NAMED = """
      %t = linalg.transpose ins(%a0 : tensor<2x3xf32>) outs(%a1 : tensor<3x2xf32>) permutation = [1, 0]
      %b = linalg.broadcast ins(%t : tensor<3x2xf32>) outs(%a2 : tensor<3x4x2xf32>) dimensions = [1]
      %m = linalg.map ins(%b : tensor<3x4x2xf32>) outs(%a2 : tensor<3x4x2xf32>) (%x: f32, %o: f32) {
        %n = arith.negf %x : f32
        linalg.yield %n : f32
      }
      %r = linalg.reduce ins(%m : tensor<3x4x2xf32>) outs(%a1 : tensor<3x2xf32>) dimensions = [1]
        (%x: f32, %o: f32) {
          %n = arith.addf %x, %o : f32
          linalg.yield %n : f32
        }
      %c = linalg.copy ins(%r : tensor<3x2xf32>) outs(%a1 : tensor<3x2xf32>) -> tensor<3x2xf32>
      return %c : tensor<3x2xf32>"""  # noqa: E501


def test_named_operations():
    x, start = normal(2, 3), normal(3, 2)
    (found,) = evaluate(NAMED, [type_of(start)], x, start, normal(3, 4, 2))
    np.testing.assert_allclose(found, start - 4 * x.T, rtol=1e-6)


@pytest.mark.parametrize("arithmetic", ["native", "f32", "bf16"])
def test_convolutions_and_windows(arithmetic):
    """No work for the matrix unit, which would round factors to bf16."""
    x, kernel = normal(2, 3, 9, 8), normal(4, 3, 3, 2)
    body = """
      %z = arith.constant 0.0 : f32
      %e = tensor.empty() : tensor<2x4x4x4xf32>
      %i = linalg.fill ins(%z : f32) outs(%e : tensor<2x4x4x4xf32>) -> tensor<2x4x4x4xf32>
      %c = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>,
          strides = dense<2> : vector<2xi64>} ins(%a0, %a1 : tensor<2x3x9x8xf32>,
          tensor<4x3x3x2xf32>) outs(%i : tensor<2x4x4x4xf32>) -> tensor<2x4x4x4xf32>
      %w = tensor.empty() : tensor<2x2xf32>
      %m = arith.constant dense<-1.0e9> : tensor<2x4x3x3xf32>
      %p = linalg.pooling_nchw_max {dilations = dense<1> : vector<2xi64>,
          strides = dense<1> : vector<2xi64>} ins(%c, %w : tensor<2x4x4x4xf32>, tensor<2x2xf32>)
          outs(%m : tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32>
      return %c, %p : tensor<2x4x4x4xf32>, tensor<2x4x3x3xf32>"""
    types = [tensor((2, 4, 4, 4), "f32"), tensor((2, 4, 3, 3), "f32")]
    found, pooled = evaluate(body, types, x, kernel, arithmetic=arithmetic)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (2, 3))[:, :, ::2, ::2]
    expected = np.einsum("nchwyx,fcyx->nfhw", windows, kernel, dtype=np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    squares = np.lib.stride_tricks.sliding_window_view(found, (2, 2), (2, 3))
    assert same_bits(pooled, squares.max((-1, -2)))


def test_maps_that_are_not_linear_are_refused():
    body = """
      %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i floordiv 2)>,
          affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
          ins(%a0 : tensor<2xf32>) outs(%a1 : tensor<4xf32>) {
      ^bb0(%x: f32, %o: f32):
        linalg.yield %x : f32
      } -> tensor<4xf32>
      return %r : tensor<4xf32>"""
    with pytest.raises(UserError, match="floordiv"):
        interpret_step(plan_text(["tensor<2xf32>", "tensor<4xf32>"], ["tensor<4xf32>"], body))
