"""Lookups by value, positions, our own operations, and operations without a rule."""

from __future__ import annotations

import pytest

EMBEDDING = """
  %e = tensor.empty() : tensor<5x3xf32>
  %x = linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<5xi64>) outs(%e : tensor<5x3xf32>) {
    ^bb0(%i: i64, %o: f32):
      %r = arith.index_cast %i : i64 to index
      %c = linalg.index 1 : index
      %v = tensor.extract %table[%r, %c] : tensor<7x3xf32>
      linalg.yield %v : f32
  } -> tensor<5x3xf32>
  %t = arith.addf %x, %b : tensor<5x3xf32>
  %y = tensor.empty() : tensor<f32>
"""


def test_an_embedding_pins_the_vocabulary_and_not_the_features(analyze):
    arguments = [("table", "7x3xf32"), ("ids", "5xi64", "input"), ("b", "5x3xf32")]
    analysis = analyze(arguments, EMBEDDING, "y", "f32")
    (axis,) = analysis.free_axes
    assert [m.text for m in axis.members] == ["table.1", "b.1"]
    vocabulary = analysis.axes[0]
    assert [(pin.reason, pin.count) for pin in vocabulary.pins] == [("looked up by value", 1)]
    assert "PINNED: looked up by value (x1)" in str(vocabulary)


def test_a_position_pins_its_loop(analyze):
    body = """
      %e = tensor.empty() : tensor<4x3xf32>
      %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%a : tensor<4x3xf32>) outs(%e : tensor<4x3xf32>) {
        ^bb0(%p: f32, %o: f32):
          %i = linalg.index 0 : index
          %j = arith.index_cast %i : index to i64
          %k = arith.sitofp %j : i64 to f32
          %r = arith.mulf %p, %k : f32
          linalg.yield %r : f32
      } -> tensor<4x3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    analysis = analyze([("a", "4x3xf32")], body, "y", "f32")
    assert [axis.size for axis in analysis.free_axes] == [3]
    assert [pin.reason for pin in analysis.axes[0].pins] == ["position used"]


def test_an_index_used_as_lookup_and_as_number_is_a_position(analyze):
    body = """
      %e = tensor.empty() : tensor<3xf32>
      %x = linalg.generic {indexing_maps = [#id1], iterator_types = ["parallel"]}
          outs(%e : tensor<3xf32>) {
        ^bb0(%o: f32):
          %i = linalg.index 0 : index
          %v = tensor.extract %a[%i] : tensor<3xf32>
          %j = arith.index_cast %i : index to i64
          %k = arith.sitofp %j : i64 to f32
          %r = arith.mulf %v, %k : f32
          linalg.yield %r : f32
      } -> tensor<3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    assert not analyze([("a", "3xf32")], body, "y", "f32").free_axes


def test_a_convolution_pins_its_window_and_not_its_channels(analyze):
    body = """
      %z = arith.constant dense<0.0> : tensor<1x4x6xf32>
      %x = linalg.conv_1d_ncw_fcw {dilations = dense<1> : tensor<1xi64>,
                                   strides = dense<1> : tensor<1xi64>}
          ins(%a, %k : tensor<1x2x8xf32>, tensor<4x2x3xf32>) outs(%z : tensor<1x4x6xf32>)
          -> tensor<1x4x6xf32>
      %y = tensor.empty() : tensor<f32>
    """
    analysis = analyze([("a", "1x2x8xf32"), ("k", "4x2x3xf32")], body, "y", "f32")
    assert [[m.text for m in axis.members] for axis in analysis.free_axes] == [
        ["a.1", "k.1"],
        ["k.0"],
    ]
    assert analysis.axes[-1].pins[0].reason == "computed index"


INDEXING = """
  %e0 = tensor.empty() : tensor<4xi64>
  %rows = linalg.generic {{indexing_maps = [#id1], iterator_types = ["parallel"]}}
      outs(%e0 : tensor<4xi64>) {{
    ^bb0(%o: i64):
      %i = linalg.index 0 : index
      %j = arith.index_cast %i : index to i64
      linalg.yield %j : i64
  }} -> tensor<4xi64>
  %tall = tensor.expand_shape %rows [[0, 1]] output_shape [4, 1]
      : tensor<4xi64> into tensor<4x1xi64>
  %n = arith.constant {size} : i64
  %zero = arith.constant 0 : i64
  %picked = arith.constant dense<{picked}> : tensor<2xi64>
  %e = tensor.empty() : tensor<4x2xf32>
  %x = linalg.generic {{indexing_maps = [affine_map<(i, j) -> (i, 0)>, #col, #id],
                       iterator_types = ["parallel", "parallel"]}}
      ins(%tall, %picked : tensor<4x1xi64>, tensor<2xi64>) outs(%e : tensor<4x2xf32>) {{
    ^bb0(%p: i64, %q: i64, %o: f32):
      %r = arith.index_cast %p : i64 to index
      %neg = arith.cmpi slt, %q, %zero : i64
      %wrap = arith.addi %q, %n : i64
      %s = arith.select %neg, %wrap, %q : i64
      %c = arith.index_cast %s : i64 to index
      %v = tensor.extract %a[%r, %c] : tensor<4x{size}xf32>
      linalg.yield %v : f32
  }} -> tensor<4x2xf32>
  %u = arith.addf %x, %b : tensor<4x2xf32>
  %y = tensor.empty() : tensor<f32>
"""


@pytest.mark.parametrize(
    ("size", "picked", "expected"),
    [
        # An arange and consecutive constants are slices.
        (6, "[3, 4]", [["a.0", "b.0"], ["a.1[segment 0 of 3 + 2 + 1]"],
                       ["a.1[segment 1 of 3 + 2 + 1]", "b.1"]]),
        # One constant, counted from the end; it is read twice, so it is no axis of the result.
        (6, "-2", [["a.0", "b.0"], ["a.1[segment 0 of 4 + 1 + 1]"], ["b.1"]]),
        # Other constants are looked up by value.
        (6, "[3, 1]", [["a.0", "b.0"]]),
    ],
)  # fmt: skip
def test_indexing_by_an_arange_and_by_constants(free, size, picked, expected):
    arguments = [("a", f"4x{size}xf32"), ("b", "4x2xf32")]
    assert free(arguments, INDEXING.format(size=size, picked=picked), "y", "f32") == expected


def test_an_arange_that_is_also_a_number_pins(free):
    body = INDEXING.format(size=6, picked="[3, 4]").replace(
        "linalg.yield %v : f32", "%h = arith.sitofp %p : i64 to f32\n"
        "%w = arith.mulf %h, %v : f32\nlinalg.yield %w : f32"
    )  # fmt: skip
    axes = free([("a", "4x6xf32"), ("b", "4x2xf32")], body, "y", "f32")
    assert [member for axis in axes for member in axis if ".0" in member] == []


def test_an_accumulator_is_not_the_constant_that_it_starts_from(analyze):
    body = """
      %z = arith.constant dense<0> : tensor<2xi64>
      %walk = linalg.generic {indexing_maps = [#id, #row],
                              iterator_types = ["parallel", "reduction"]}
          ins(%n : tensor<2x5xi64>) outs(%z : tensor<2xi64>) {
        ^bb0(%p: i64, %o: i64):
          %i = arith.index_cast %o : i64 to index
          %v = tensor.extract %a[%i] : tensor<7xi64>
          %s = arith.addi %v, %p : i64
          linalg.yield %s : i64
      } -> tensor<2xi64>
      %y = tensor.empty() : tensor<f32>
    """
    analysis = analyze([("a", "7xi64"), ("n", "2x5xi64", "frozen")], body, "y", "f32")
    assert str(analysis.dimension(0, 0)) == "7"
    assert [pin.reason for pin in analysis.axes[0].pins] == ["looked up by value"]
    steps = analysis.axes[2]
    assert [pin.reason for pin in steps.pins] == ["reduced in an order that matters"]


OURS = {
    "scatter_add": (
        [("d", "7x3xf32"), ("i", "5xi64", "input"), ("u", "5x3xf32")],
        """%r = "ssft.scatter_add"(%d, %i, %u) {dim = 0 : i64}
             : (tensor<7x3xf32>, tensor<5xi64>, tensor<5x3xf32>) -> tensor<7x3xf32>""",
        [["d.1", "u.1"]],
    ),
    "scatter_add into a splat": (
        [("i", "5xi64", "input"), ("u", "5x3xf32"), ("w", "7x3xf32")],
        """%z = arith.constant dense<0.0> : tensor<7x3xf32>
           %s = "ssft.scatter_add"(%z, %i, %u) {dim = 0 : i64}
             : (tensor<7x3xf32>, tensor<5xi64>, tensor<5x3xf32>) -> tensor<7x3xf32>
           %r = arith.addf %s, %w : tensor<7x3xf32>""",
        [["u.1", "w.1"]],
    ),
    "scatter_add at one index": (
        [("d", "7x3xf32"), ("u", "1x3xf32")],
        """%i = arith.constant dense<2> : tensor<1xi64>
           %r = "ssft.scatter_add"(%d, %i, %u) {dim = 0 : i64}
             : (tensor<7x3xf32>, tensor<1xi64>, tensor<1x3xf32>) -> tensor<7x3xf32>""",
        [["d.0[segment 0 of 2 + 1 + 4]"], ["d.0[segment 2 of 2 + 1 + 4]"], ["d.1", "u.1"]],
    ),
    "gather of a range": (
        [("w", "7x3xf32"), ("b", "2x3xf32")],
        """%i = arith.constant dense<[4, 5]> : tensor<2xi64>
           %s = "ssft.gather"(%w, %i) {dim = 0 : i64}
             : (tensor<7x3xf32>, tensor<2xi64>) -> tensor<2x3xf32>
           %r = arith.addf %s, %b : tensor<2x3xf32>""",
        [["w.0[segment 0 of 4 + 2 + 1]"], ["w.0[segment 1 of 4 + 2 + 1]", "b.0"],
         ["w.1", "b.1"]],
    ),
    "gather": (
        [("w", "7x3xf32"), ("i", "2xi64", "frozen"), ("b", "7x2xf32")],
        """%s = "ssft.gather"(%w, %i) {dim = 1 : i64}
             : (tensor<7x3xf32>, tensor<2xi64>) -> tensor<7x2xf32>
           %r = arith.addf %s, %b : tensor<7x2xf32>""",
        [["w.0", "b.0"], ["i.0", "b.1"]],
    ),
    "save_slice": (
        [("x", "4x8xf32"), ("b", "4x2xf32")],
        """%s = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 0 : i64, size = 2 : i64}
             : (tensor<4x8xf32>) -> tensor<4x2xf32>
           %r = arith.addf %s, %b : tensor<4x2xf32>""",
        [["x.0", "b.0"], ["x.1[segment 0 of 2 + 6]", "b.1"],
         ["x.1[segment 1 of 2 + 6]"]],
    ),
    "weight_grad": (
        [("g", "2x4x8xf32"), ("x", "2x4x3xf32"), ("w", "8x3xf32")],
        """%s = "ssft.weight_grad"(%g, %x)
             : (tensor<2x4x8xf32>, tensor<2x4x3xf32>) -> tensor<8x3xf32>
           %r = arith.addf %s, %w : tensor<8x3xf32>""",
        [["g.0", "x.0"], ["g.1", "x.1"], ["g.2", "w.0"], ["x.2", "w.1"]],
    ),
    "update": (
        [("w", "8x3xf32"), ("g", "8x3xf32")],
        """%r = "ssft.update"(%w, %g) ({
           ^bb0(%p: f32, %q: f32):
             %n = arith.subf %p, %q : f32
             "ssft.yield"(%n) : (f32) -> ()
           }) {operandSegmentSizes = array<i32: 1, 0, 1>}
             : (tensor<8x3xf32>, tensor<8x3xf32>) -> tensor<8x3xf32>""",
        [["w.0", "g.0"], ["w.1", "g.1"]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_our_operations(free, name):
    arguments, body, expected = OURS[name]
    body += "\n%y = tensor.empty() : tensor<f32>"
    assert free(arguments, body, "y", "f32") == expected


def test_an_operation_without_a_rule_pins_what_it_touches_and_is_listed(analyze):
    body = """
      %x, %s = tm_tensor.scan dimension(0) inclusive(true)
          ins(%a : tensor<4x3xf32>) outs(%b, %c : tensor<4x3xf32>, tensor<3xf32>) {
        ^bb0(%p: f32, %q: f32):
          %r = arith.addf %p, %q : f32
          tm_tensor.yield %r : f32
      } -> tensor<4x3xf32>, tensor<3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    arguments = [("a", "4x3xf32"), ("b", "4x3xf32"), ("c", "3xf32"), ("d", "2xf32")]
    analysis = analyze(arguments, body, "y", "f32")
    assert [[m.text for m in axis.members] for axis in analysis.free_axes] == [["d.0"]]
    assert analysis.unknown == {"tm_tensor.scan": 1}
    assert analysis.report()[-1] == "no rule for tm_tensor.scan (x1): what it touches is pinned"


def test_a_region_of_an_operation_without_a_rule_pins_too(analyze):
    body = """
      %t = arith.constant true
      %x = scf.if %t -> tensor<3xf32> {
        %n = arith.addf %a, %a : tensor<3xf32>
        scf.yield %n : tensor<3xf32>
      } else {
        scf.yield %b : tensor<3xf32>
      }
      %y = tensor.empty() : tensor<f32>
    """
    assert not analyze([("a", "3xf32"), ("b", "3xf32")], body, "y", "f32").free_axes
