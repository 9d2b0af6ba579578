"""Reshapes, slices, concatenations and paddings: products and sums of axes."""

from __future__ import annotations


def shapes(analysis, argument: int) -> list[str]:
    return [str(layout) for layout in analysis.dimensions[argument]]


HEADS = """
  %h = tensor.expand_shape %a [[0, 1], [2]] output_shape [4, 2, 3]
      : tensor<8x3xf32> into tensor<4x2x3xf32>
  %s = tensor.expand_shape %b [[0, 1]] output_shape [4, 2] : tensor<8xf32> into tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2x3xf32>
  %o = linalg.generic {
        indexing_maps = [affine_map<(h, d, i) -> (h, d, i)>, affine_map<(h, d, i) -> (h, d)>,
                         affine_map<(h, d, i) -> (h, d, i)>],
        iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%h, %s : tensor<4x2x3xf32>, tensor<4x2xf32>) outs(%e : tensor<4x2x3xf32>) {
    ^bb0(%p: f32, %q: f32, %w: f32):
      %r = arith.mulf %p, %q : f32
      linalg.yield %r : f32
  } -> tensor<4x2x3xf32>
  %y = tensor.empty() : tensor<f32>
"""


def test_a_reshape_to_heads_splits_a_dimension(analyze):
    analysis = analyze([("a", "8x3xf32"), ("b", "8xf32")], HEADS, "y", "f32")
    assert shapes(analysis, 0) == ["4x2", "3"]
    assert shapes(analysis, 1) == ["4x2"]
    heads, dims, _ = analysis.free_axes
    assert [m.text for m in heads.members] == ["a.0[factor 0 of 4x2]", "b.0[factor 0 of 4x2]"]
    assert [m.text for m in dims.members] == ["a.0[factor 1 of 4x2]", "b.0[factor 1 of 4x2]"]


def test_reshapes_in_conflict_pin(analyze):
    body = """
      %p = tensor.expand_shape %a [[0, 1]] output_shape [4, 3] : tensor<12xf32> into tensor<4x3xf32>
      %q = tensor.expand_shape %a [[0, 1]] output_shape [3, 4] : tensor<12xf32> into tensor<3x4xf32>
      %u = arith.addf %p, %b : tensor<4x3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    analysis = analyze([("a", "12xf32"), ("b", "4x3xf32")], body, "y", "f32")
    assert not analysis.free_axes
    assert {pin.reason for axis in analysis.axes for pin in axis.pins} == {"misaligned reshape"}


FUSED = """
  %q = tensor.extract_slice %w[0, 0] [4, 3] [1, 1] : tensor<12x3xf32> to tensor<4x3xf32>
  %k = tensor.extract_slice %w[4, 0] [4, 3] [1, 1] : tensor<12x3xf32> to tensor<4x3xf32>
  %v = tensor.extract_slice %w[8, 0] [4, 3] [1, 1] : tensor<12x3xf32> to tensor<4x3xf32>
  %s = arith.mulf %q, %k : tensor<4x3xf32>
  %t = arith.addf %v, %o : tensor<4x3xf32>
  %y = tensor.empty() : tensor<f32>
"""


def test_the_parts_of_a_fused_projection_are_axes_of_their_own(analyze):
    analysis = analyze([("w", "12x3xf32"), ("o", "4x3xf32")], FUSED, "y", "f32")
    assert shapes(analysis, 0) == ["4 + 4 + 4", "3"]
    both, value = (axis for axis in analysis.free_axes if axis.size == 4)
    assert [m.text for m in both.members] == [
        "w.0[segment 0 of 4 + 4 + 4]",
        "w.0[segment 1 of 4 + 4 + 4]",
    ]
    assert [m.text for m in value.members] == ["w.0[segment 2 of 4 + 4 + 4]", "o.0"]
    assert analysis.dimension(0, 0).text({both.id: "h"}) == "h + h + 4"
    assert analysis.dimension(0, 0).text({value.id: "v"}) == "8 + v"
    assert analysis.dimension(0, 0).text({}) == "12"


def test_parts_inside_each_head(analyze):
    body = """
      %h = tensor.expand_shape %w [[0, 1]] output_shape [2, 12] : tensor<24xf32> into tensor<2x12xf32>
      %q = tensor.extract_slice %h[0, 0] [2, 4] [1, 1] : tensor<2x12xf32> to tensor<2x4xf32>
      %v = tensor.extract_slice %h[0, 4] [2, 8] [1, 1] : tensor<2x12xf32> to tensor<2x8xf32>
      %t = arith.addf %v, %o : tensor<2x8xf32>
      %y = tensor.empty() : tensor<f32>
    """  # noqa: E501
    analysis = analyze([("w", "24xf32"), ("o", "2x8xf32")], body, "y", "f32")
    assert shapes(analysis, 0) == ["2x(4 + 8)"]
    heads, query, value = analysis.free_axes
    assert (heads.size, query.size, value.size) == (2, 4, 8)
    layout = analysis.dimension(0, 0)
    assert layout.text({heads.id: "h", value.id: "v"}) == "h*(4 + v)"
    assert layout.text({heads.id: "h"}) == "h*12"
    assert layout.text({value.id: "v"}) == "2*(4 + v)"


def test_a_slice_by_stride_takes_one_index_of_the_minor_factor(analyze):
    body = """
      %s = tensor.extract_slice %w[1] [4] [2] : tensor<8xf32> to tensor<4xf32>
      %t = arith.addf %s, %o : tensor<4xf32>
      %y = tensor.empty() : tensor<f32>
    """
    analysis = analyze([("w", "8xf32"), ("o", "4xf32")], body, "y", "f32")
    (axis,) = analysis.free_axes
    assert [(m.argument, m.path) for m in axis.members] == [(0, (0, 0)), (1, (0, 0))]
    assert shapes(analysis, 0) == ["4x2"]
    assert [pin.reason for pin in analysis.axes[1].pins] == ["cut into single indices"]


def test_rank_reducing_slices(analyze):
    body = """
      %s = tensor.extract_slice %w[1, 0, 0] [1, 4, 3] [1, 1, 1] : tensor<2x4x3xf32> to tensor<4x3xf32>
      %t = arith.addf %s, %o : tensor<4x3xf32>
      %y = tensor.empty() : tensor<f32>
    """  # noqa: E501
    analysis = analyze([("w", "2x4x3xf32"), ("o", "4x3xf32")], body, "y", "f32")
    assert shapes(analysis, 0) == ["2", "4", "3"]
    assert [pin.reason for pin in analysis.axes[0].pins] == ["cut into single indices"]
    assert [[m.text for m in axis.members] for axis in analysis.free_axes] == [
        ["w.1", "o.0"],
        ["w.2", "o.1"],
    ]


def test_insert_slice_is_the_counterpart(analyze):
    body = """
      %z = arith.constant dense<0.0> : tensor<12x3xf32>
      %i = tensor.insert_slice %o into %z[4, 0] [4, 3] [1, 1] : tensor<4x3xf32> into tensor<12x3xf32>
      %t = arith.addf %i, %w : tensor<12x3xf32>
      %y = tensor.empty() : tensor<f32>
    """  # noqa: E501
    analysis = analyze([("w", "12x3xf32"), ("o", "4x3xf32")], body, "y", "f32")
    assert shapes(analysis, 0) == ["4 + 4 + 4", "3"]
    assert [m.text for m in analysis.free_axes[1].members] == [
        "w.0[segment 1 of 4 + 4 + 4]",
        "o.0",
    ]


def test_concat_and_pad_are_sums(analyze):
    body = """
      %z = arith.constant 0.0 : f32
      %c = tensor.concat dim(0) %a, %b : (tensor<4xf32>, tensor<2xf32>) -> tensor<6xf32>
      %p = tensor.pad %c low[1] high[1] {
        ^bb0(%i: index):
          tensor.yield %z : f32
      } : tensor<6xf32> to tensor<8xf32>
      %t = arith.addf %p, %w : tensor<8xf32>
      %y = tensor.empty() : tensor<f32>
    """
    analysis = analyze([("a", "4xf32"), ("b", "2xf32"), ("w", "8xf32")], body, "y", "f32")
    assert shapes(analysis, 2) == ["1 + 4 + 2 + 1"]
    assert [axis.size for axis in analysis.free_axes] == [4, 2]


ROTARY = """
  %l = tensor.extract_slice %q[0, 0] [3, 4] [1, 1] : tensor<3x8xf32> to tensor<3x4xf32>
  %u = tensor.extract_slice %q[0, 4] [3, 4] [1, 1] : tensor<3x8xf32> to tensor<3x4xf32>
  %n = arith.negf %u : tensor<3x4xf32>
  %r = tensor.concat dim(1) %n, %l : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x8xf32>
  {table}
  %e = tensor.empty() : tensor<3x8xf32>
  %x = linalg.generic {{indexing_maps = [#id, #id, #col, #id],
                       iterator_types = ["parallel", "parallel"]}}
      ins(%q, %r, %c : tensor<3x8xf32>, tensor<3x8xf32>, tensor<8xf32>)
      outs(%e : tensor<3x8xf32>) {{
    ^bb0(%p: f32, %s: f32, %t: f32, %o: f32):
      %m = arith.mulf %s, %t : f32
      %g = arith.addf %p, %m : f32
      linalg.yield %g : f32
  }} -> tensor<3x8xf32>
  %y = tensor.empty() : tensor<f32>
"""


def test_rotary_halves_are_one_axis_with_the_frequencies(analyze):
    table = "%c = tensor.concat dim(0) %f, %f : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>"
    arguments = [("q", "3x8xf32"), ("f", "4xf32", "frozen")]
    analysis = analyze(arguments, ROTARY.format(table=table), "y", "f32")
    assert shapes(analysis, 0) == ["3", "4 + 4"]
    pairs = analysis.free_axes[1]
    assert [m.text for m in pairs.members] == [
        "q.1[segment 0 of 4 + 4]",
        "q.1[segment 1 of 4 + 4]",
        "f.0",
    ]


def test_rotary_tables_made_from_positions_pin_the_halves(analyze):
    table = """
      %i = tensor.empty() : tensor<4xf32>
      %f = linalg.generic {indexing_maps = [#id1], iterator_types = ["parallel"]}
          outs(%i : tensor<4xf32>) {
        ^bb0(%o: f32):
          %a = linalg.index 0 : index
          %b = arith.index_cast %a : index to i64
          %d = arith.sitofp %b : i64 to f32
          linalg.yield %d : f32
      } -> tensor<4xf32>
      %c = tensor.concat dim(0) %f, %f : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
    """
    analysis = analyze([("q", "3x8xf32")], ROTARY.format(table=table), "y", "f32")
    assert [axis.size for axis in analysis.free_axes] == [3]
    assert {pin.reason for axis in analysis.axes for pin in axis.pins} == {"position used"}
