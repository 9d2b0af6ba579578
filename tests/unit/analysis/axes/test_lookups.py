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


OURS = {
    "scatter_add": (
        [("d", "7x3xf32"), ("i", "5xi64", "input"), ("u", "5x3xf32")],
        """%r = "ssft.scatter_add"(%d, %i, %u) {dim = 0 : i64}
             : (tensor<7x3xf32>, tensor<5xi64>, tensor<5x3xf32>) -> tensor<7x3xf32>""",
        [["d.1", "u.1"]],
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
