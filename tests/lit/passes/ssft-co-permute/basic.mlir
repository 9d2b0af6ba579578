// RUN: ssft-opt %s --ssft-co-permute -split-input-file -verify-diagnostics | filecheck %s

// The rows of one parameter and the columns of another want different channels of one axis first:
// first only, both, second only makes both contiguous.
// CHECK:       module attributes {ssft.permutations = {[[AXIS:[a-z0-9]+]] = {front = array<i64: 1, 2, 7>, size = 8 : i64}}}
// CHECK-LABEL: func.func @step
// CHECK-SAME:    ssft.name = "up.weight", ssft.permuted = ["[[AXIS]]", "6"]
// CHECK-SAME:    ssft.name = "down.weight", ssft.permuted = ["4", "[[AXIS]]"]
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight", ssft.mask = {rows = array<i64: 1, 2>, combine = "intersection"}},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight", ssft.mask = {columns = array<i64: 2, 7>, combine = "intersection"}},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// Both parameters want the same channels first.
// CHECK:       module attributes {ssft.permutations = {[[AXIS:[a-z0-9]+]] = {front = array<i64: 2, 7>, size = 8 : i64}}}
// CHECK-LABEL: func.func @step
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight", ssft.mask = {rows = array<i64: 2, 7>, combine = "intersection"}},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight", ssft.mask = {columns = array<i64: 2, 7>, combine = "intersection"}},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// Heads: 12 channels are 3 heads of 4, split by a reshape. Whole heads become contiguous by an order
// of the heads; the channels within a head stay as they are.
// CHECK:       module attributes {ssft.permutations = {[[HEADS:[a-z0-9]+]] = {front = array<i64: 1>, size = 3 : i64}}}
// CHECK-LABEL: func.func @step
// CHECK-SAME:    ssft.name = "v.weight", ssft.permuted = ["[[HEADS]]*4", "6"]
// CHECK-SAME:    ssft.name = "o.weight", ssft.permuted = ["5", "[[HEADS]]*4"]
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
func.func @step(
    %v: tensor<12x6xf32> {ssft.role = "frozen", ssft.name = "v.weight"},
    %o: tensor<5x12xf32> {ssft.role = "trainable", ssft.name = "o.weight", ssft.mask = {columns = array<i64: 4, 5, 6, 7>, combine = "intersection"}},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %p0: tensor<3x12xf32> {ssft.role = "frozen", ssft.name = "zeros12"},
    %h0: tensor<3x4x3xf32> {ssft.role = "frozen", ssft.name = "zeros43"},
    %y0: tensor<3x5xf32> {ssft.role = "frozen", ssft.name = "zeros5"}
) -> (tensor<3x5xf32> {ssft.role = "loss"}, tensor<5x12xf32> {ssft.updates_arg = 1 : i64}) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %v : tensor<3x6xf32>, tensor<12x6xf32>) outs(%p0 : tensor<3x12xf32>) -> tensor<3x12xf32>
  %heads = tensor.expand_shape %p [[0], [1, 2]] output_shape [3, 3, 4] : tensor<3x12xf32> into tensor<3x3x4xf32>
  %joined = tensor.collapse_shape %heads [[0], [1, 2]] : tensor<3x3x4xf32> into tensor<3x12xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%joined, %o : tensor<3x12xf32>, tensor<5x12xf32>) outs(%y0 : tensor<3x5xf32>) -> tensor<3x5xf32>
  return %y, %o : tensor<3x5xf32>, tensor<5x12xf32>
}
