"""Which writes may be done in an argument's own memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ssft.compiler.analysis.step import find_step, operations
from ssft.compiler.backends.hw.importing.in_place import in_place_values
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

sys.path.insert(0, str(Path(__file__).parents[1]))

from programs import argument, metric, step

W, PART, ROW = "tensor<8x4xf32>", "tensor<2x4xf32>", "tensor<4xf32>"
INSERT = f"tensor.insert_slice %p into %w[0, 0] [2, 4] [1, 1] : {PART} into {W}"
EXTRACT = f"tensor.extract_slice %w[2, 0] [2, 4] [1, 1] : {W} to {PART}"
SCATTER = f'"ssft.scatter"(%w, %i, %p) {{dim = 0 : i64}} : ({W}, tensor<2xi64>, {PART}) -> {W}'


def negated(name: str, source: str, type_: str = PART) -> str:
    rank = type_.count("x")
    map_ = "affine_map<(d0, d1) -> (d0, d1)>" if rank == 2 else "affine_map<(d0) -> (d0)>"
    kinds = ", ".join(['"parallel"'] * rank)
    return f"""
      {name}e = tensor.empty() : {type_}
      {name} = linalg.generic {{indexing_maps = [{map_}, {map_}], iterator_types = [{kinds}]}}
          ins({source} : {type_}) outs({name}e : {type_}) {{
      ^bb0(%x: f32, %o: f32):
        %y = arith.negf %x : f32
        linalg.yield %y : f32
      }} -> {type_}"""


def found(body: str, results: list[tuple[str, str]]) -> list[str]:
    """Names of the operations whose results are written in place."""
    attributes = [
        f"{W} {{ssft.updates_arg = 0 : i64}}" if kind == "update" else metric(kind)
        for _, kind in results
    ]
    names = ", ".join(name for name, _ in results)
    types = ", ".join(W if kind == "update" else kind for _, kind in results)
    arguments = [argument("w", W), argument("p", PART), argument("i", "tensor<2xi64>")]
    text = step(arguments, attributes, f"{body}\n  return {names} : {types}")
    module = ir.Module.parse(text, new_context())
    this = find_step(module.operation)
    values = in_place_values(this)
    assert set(values.values()) <= {0}
    return [op.name for op in operations(this) if any(r in values for r in op.results)]


@pytest.mark.parametrize("write", [INSERT, SCATTER])
def test_a_write_into_the_argument(write):
    assert found(f"%n = {write}", [("%n", "update")]) == [write.split("(")[0].split()[0].strip('"')]


def test_chains():
    body = f"%m = {INSERT}\n %n = {SCATTER.replace('%w', '%m')}"
    assert found(body, [("%n", "update")]) == ["tensor.insert_slice", "ssft.scatter"]


def test_not_what_only_ends_up_in_another_result():
    assert found(f"%n = {INSERT}", [("%n", W)]) == []


def test_a_reader_before_the_write_is_no_harm():
    body = f"%r = {EXTRACT}{negated('%s', '%r')}\n %n = {INSERT}"
    assert found(body, [("%n", "update"), ("%s", PART)]) == ["tensor.insert_slice"]


def test_a_reader_after_the_write():
    body = f"%n = {INSERT}\n %r = {EXTRACT}"
    assert found(body, [("%n", "update"), ("%r", PART)]) == []


def test_a_view_that_is_read_after_the_write():
    """The slice is cut before, but nothing is copied until somebody reads it."""
    body = f"%r = {EXTRACT}\n %n = {INSERT}{negated('%s', '%r')}"
    assert found(body, [("%n", "update"), ("%s", PART)]) == []
    rows = f'"ssft.gather"(%w, %i) {{dim = 0 : i64}} : ({W}, tensor<2xi64>) -> {PART}'
    body = f"%r = {rows}\n %n = {INSERT}{negated('%s', '%r')}"
    assert found(body, [("%n", "update"), ("%s", PART)]) == []


def test_a_view_of_a_view():
    flat = f"tensor.collapse_shape %r [[0, 1]] : {PART} into tensor<8xf32>"
    later = negated("%s", "%f", "tensor<8xf32>")
    body = f"%r = {EXTRACT}\n %f = {flat}\n %n = {INSERT}{later}"
    assert found(body, [("%n", "update"), ("%s", "tensor<8xf32>")]) == []


def test_the_old_contents_as_a_result():
    assert found(f"%n = {INSERT}", [("%n", "update"), ("%w", W)]) == []
    assert found(f"%r = {EXTRACT}\n %n = {INSERT}", [("%n", "update"), ("%r", PART)]) == []


def test_a_reader_within_a_body():
    body = f"""
      %n = {INSERT}
      %e = tensor.empty() : {ROW}
      %s = linalg.generic {{indexing_maps = [affine_map<(d0) -> (d0)>],
          iterator_types = ["parallel"]}} outs(%e : {ROW}) {{
      ^bb0(%o: f32):
        %j = linalg.index 0 : index
        %y = tensor.extract %w[%j, %j] : {W}
        linalg.yield %y : f32
      }} -> {ROW}"""
    assert found(body, [("%n", "update"), ("%s", ROW)]) == []


def test_a_part_of_gathered_rows():
    """A slice inserted into rows that are scattered back to where they came from."""
    rows = f'"ssft.gather"(%w, %i) {{dim = 0 : i64}} : ({W}, tensor<2xi64>) -> {PART}'
    part = "tensor.extract_slice %p[0, 0] [2, 2] [1, 1] : " + PART + " to tensor<2x2xf32>"
    insert = f"tensor.insert_slice %q into %r[0, 1] [2, 2] [1, 1] : tensor<2x2xf32> into {PART}"
    body = f"%q = {part}\n %r = {rows}\n %m = {insert}\n %n = {SCATTER.replace('%p', '%m')}"
    assert found(body, [("%n", "update")]) == ["tensor.insert_slice", "ssft.scatter"]
    assert found(body, [("%n", "update"), ("%m", PART)]) == ["ssft.scatter"]
