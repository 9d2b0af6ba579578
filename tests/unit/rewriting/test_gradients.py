"""A slice of a gradient, computed as a slice, is the slice of the gradient."""

from __future__ import annotations

import numpy as np
import pytest

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.phases import ancestors
from ssft.compiler.rewriting.gradients import GradientSlicer
from ssft.compiler.tiles import Indices, Range, Selector
from ssft.dialects._mlir import ir

from .conftest import append_results, find_step, named_values, run

# Every value named by `test.value` is a 4x6 "gradient", each computed in another way.
STEP = """
#ti = affine_map<(o, i, t) -> (t, i)>
#to = affine_map<(o, i, t) -> (t, o)>
#oi = affine_map<(o, i, t) -> (o, i)>
#sti = affine_map<(o, i, s, t) -> (s, t, i)>
#sto = affine_map<(o, i, s, t) -> (s, t, o)>
#soi = affine_map<(o, i, s, t) -> (o, i)>
#id = affine_map<(o, i) -> (o, i)>
#t = affine_map<(o, i) -> (i, o)>
#row = affine_map<(o, i) -> (o)>
#column = affine_map<(o, i) -> (i)>
#scalar = affine_map<(o, i) -> ()>
func.func @step(
    %dy: tensor<5x4xf64> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<5x6xf64> {ssft.role = "input", ssft.name = "x"},
    %dy3: tensor<2x3x4xf64> {ssft.role = "input", ssft.name = "dy3"},
    %x3: tensor<2x3x6xf64> {ssft.role = "input", ssft.name = "x3"},
    %given: tensor<4x6xf64> {ssft.role = "input", ssft.name = "given"},
    %turned: tensor<6x4xf64> {ssft.role = "input", ssft.name = "turned"},
    %rows: tensor<4xf64> {ssft.role = "input", ssft.name = "rows"},
    %columns: tensor<6xf64> {ssft.role = "input", ssft.name = "columns"},
    %scale: tensor<f64> {ssft.role = "input", ssft.name = "scale"},
    %tokens: tensor<5xi64> {ssft.role = "input", ssft.name = "tokens"}
) -> (tensor<f64> {ssft.role = "loss"}) {
  %zero = arith.constant 0.0 : f64
  %empty = tensor.empty() : tensor<4x6xf64>
  %zeros = linalg.fill ins(%zero : f64) outs(%empty : tensor<4x6xf64>) -> tensor<4x6xf64>
  %product = linalg.matmul indexing_maps = [#to, #ti, #oi] {test.value = "product"}
      ins(%dy, %x : tensor<5x4xf64>, tensor<5x6xf64>)
      outs(%zeros : tensor<4x6xf64>) -> tensor<4x6xf64>
  %swapped = linalg.generic {indexing_maps = [#ti, #to, #oi],
      iterator_types = ["parallel", "parallel", "reduction"], test.value = "swapped"}
      ins(%x, %dy : tensor<5x6xf64>, tensor<5x4xf64>) outs(%zeros : tensor<4x6xf64>) {
  ^bb0(%a: f64, %b: f64, %sum: f64):
    %0 = arith.mulf %a, %b : f64
    %1 = arith.addf %sum, %0 : f64
    linalg.yield %1 : f64
  } -> tensor<4x6xf64>
  %batched = linalg.contract indexing_maps = [#sto, #sti, #soi] {test.value = "batched"}
      ins(%dy3, %x3 : tensor<2x3x4xf64>, tensor<2x3x6xf64>)
      outs(%zeros : tensor<4x6xf64>) -> tensor<4x6xf64>
  %empty45 = tensor.empty() : tensor<4x5xf64>
  %dyt = linalg.transpose ins(%dy : tensor<5x4xf64>)
      outs(%empty45 : tensor<4x5xf64>) permutation = [1, 0]
  %unfolded = linalg.matmul {test.value = "unfolded"}
      ins(%dyt, %x : tensor<4x5xf64>, tensor<5x6xf64>)
      outs(%zeros : tensor<4x6xf64>) -> tensor<4x6xf64>
  %accumulated = linalg.matmul {test.value = "accumulated"}
      ins(%dyt, %x : tensor<4x5xf64>, tensor<5x6xf64>)
      outs(%given : tensor<4x6xf64>) -> tensor<4x6xf64>
  %turned_again = linalg.transpose ins(%turned : tensor<6x4xf64>)
      outs(%empty : tensor<4x6xf64>) permutation = [1, 0] {test.value = "turned"}
  %mixed = linalg.generic {indexing_maps = [#id, #t, #row, #column, #scalar, #id, #id],
      iterator_types = ["parallel", "parallel"], test.value = "mixed"}
      ins(%product, %turned, %rows, %columns, %scale, %zeros :
          tensor<4x6xf64>, tensor<6x4xf64>, tensor<4xf64>, tensor<6xf64>,
          tensor<f64>, tensor<4x6xf64>)
      outs(%given : tensor<4x6xf64>) {
  ^bb0(%g: f64, %b: f64, %r: f64, %c: f64, %s: f64, %z: f64, %old: f64):
    %0 = arith.mulf %g, %s : f64
    %1 = arith.addf %0, %b : f64
    %2 = arith.mulf %1, %r : f64
    %3 = arith.addf %2, %c : f64
    %4 = arith.addf %3, %z : f64
    %5 = arith.addf %4, %old : f64
    linalg.yield %5 : f64
  } -> tensor<4x6xf64>
  %tied = linalg.generic {indexing_maps = [#id, #id, #id],
      iterator_types = ["parallel", "parallel"], test.value = "tied"}
      ins(%mixed, %swapped : tensor<4x6xf64>, tensor<4x6xf64>) outs(%empty : tensor<4x6xf64>) {
  ^bb0(%a: f64, %b: f64, %old: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  } -> tensor<4x6xf64>
  %embedding = "ssft.scatter_add"(%zeros, %tokens, %x) {dim = 0 : i64, test.value = "embedding"}
      : (tensor<4x6xf64>, tensor<5xi64>, tensor<5x6xf64>) -> tensor<4x6xf64>
  %positional = linalg.generic {indexing_maps = [#id, #id],
      iterator_types = ["parallel", "parallel"], test.value = "positional"}
      ins(%product : tensor<4x6xf64>) outs(%empty : tensor<4x6xf64>) {
  ^bb0(%a: f64, %old: f64):
    %i = linalg.index 1 : index
    %n = arith.index_cast %i : index to i64
    %f = arith.sitofp %n : i64 to f64
    %0 = arith.mulf %a, %f : f64
    linalg.yield %0 : f64
  } -> tensor<4x6xf64>
  return %scale : tensor<f64>
}
"""
NAMES = ["product", "swapped", "batched", "unfolded", "accumulated", "turned", "mixed", "tied"]
NAMES += ["embedding", "positional", "given"]
SHAPE = (4, 6)


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"dy": (5, 4), "x": (5, 6), "dy3": (2, 3, 4), "x3": (2, 3, 6), "given": SHAPE}
    shapes |= {"turned": (6, 4), "rows": (4,), "columns": (6,), "scale": ()}
    tokens = np.array([3, 1, 3, 0, 1])
    return {name: random.standard_normal(shape) for name, shape in shapes.items()} | {
        "tokens": tokens
    }


def gradients(module: ir.Module) -> dict[str, ir.Value]:
    arguments = find_step(module).regions[0].blocks[0].arguments
    return named_values(module) | {"given": arguments[4]}


def random_selector(random: np.random.Generator, size: int) -> Selector:
    kind = random.integers(3)
    if kind == 0:
        return None
    count = int(random.integers(1, size + 1))
    if kind == 1:
        return Range(int(random.integers(size - count + 1)), count)
    return Indices(tuple(sorted(random.choice(size, count, replace=False).tolist())))


def positions(selector: Selector, size: int) -> list[int]:
    return list(range(size)) if selector is None else list(selector.positions)


def test_slices_of_all_kinds_of_gradients(parse, inputs):
    module = parse(STEP)
    values = gradients(module)
    assert sorted(values) == sorted(NAMES)
    random = np.random.default_rng(1)
    slicer = GradientSlicer()
    slices = []
    cases = []
    with module.context, find_step(module).location:
        for name in NAMES:
            for _ in range(6):
                selectors = tuple(random_selector(random, size) for size in SHAPE)
                slices.append(slicer.slice(values[name], selectors))
                cases.append((name, selectors))
    append_results(module, [*(values[name] for name in NAMES), *slices])
    assert module.operation.verify()
    _, *found = run(module, inputs)
    dense = dict(zip(NAMES, found, strict=False))
    for (name, selectors), part in zip(cases, found[len(NAMES) :], strict=True):
        index = np.ix_(*(positions(s, n) for s, n in zip(selectors, SHAPE, strict=True)))
        np.testing.assert_allclose(
            part, dense[name][index], rtol=1e-12, atol=1e-12, err_msg=f"{name} {selectors}"
        )
    np.testing.assert_allclose(dense["product"], inputs["dy"].T @ inputs["x"], rtol=1e-12)
    np.testing.assert_allclose(
        dense["accumulated"], inputs["given"] + inputs["dy"].T @ inputs["x"], rtol=1e-12
    )


@pytest.mark.parametrize(
    "name", ["product", "swapped", "batched", "unfolded", "turned", "mixed", "tied"]
)
def test_a_slice_does_not_need_the_whole(parse, name):
    module = parse(STEP)
    value = gradients(module)[name]
    with module.context, find_step(module).location:
        part = GradientSlicer().slice(value, (Range(1, 2), Indices((0, 4))))
    whole = [op for op in ancestors([part]) if step_ir.shape_of(op.results[0]) == list(SHAPE)]
    # Zeros are what is left of a product that starts from them.
    assert {op.name for op in whole} <= {"tensor.empty", "linalg.fill"}


def test_embedding_columns_are_sliced_but_rows_are_not(parse):
    module = parse(STEP)
    value = gradients(module)["embedding"]
    with module.context, find_step(module).location:
        columns = GradientSlicer().slice(value, (None, Range(1, 2)))
        rows = GradientSlicer().slice(value, (Range(1, 2), None))
    assert value.owner not in ancestors([columns])
    assert value.owner in ancestors([rows])


def test_each_slice_is_built_once(parse):
    module = parse(STEP)
    values = gradients(module)
    selectors = (Range(1, 2), None)
    slicer = GradientSlicer()
    with module.context, find_step(module).location:
        first = slicer.slice(values["tied"], selectors)
        count = len(list(find_step(module).regions[0].blocks[0].operations))
        assert slicer.slice(values["tied"], selectors) == first
        assert slicer.slice(values["swapped"], selectors) in list(first.owner.operands)
        assert len(list(find_step(module).regions[0].blocks[0].operations)) == count


def test_the_slice_of_everything_is_the_value(parse):
    module = parse(STEP)
    value = gradients(module)["mixed"]
    with module.context, find_step(module).location:
        assert GradientSlicer().slice(value, (None, None)) == value
