// RUN: ssft-opt %s --ssft-co-permute | filecheck %s

// Channels 2 and 7 of the eight between `up` and `down` train. They become the first two: the rows of
// `up`, its bias, the columns of `down` and of its state are stored in the new order, so that the
// trained columns are one contiguous slice. The step's code computes the same as before.

// CHECK:       module attributes {ssft.permutations = {[[AXIS:[a-z0-9]+]] = {front = array<i64: 2, 7>, size = 8 : i64}}}
// CHECK-LABEL: func.func @step
// CHECK-SAME:    ssft.name = "up.weight", ssft.permuted = ["[[AXIS]]", "6"], ssft.role = "trainable"
// CHECK-SAME:    ssft.name = "up.bias", ssft.permuted = ["[[AXIS]]"], ssft.role = "frozen"
// CHECK-SAME:    ssft.mask = {columns = array<i64: 2, 7>, combine = "intersection"}, ssft.name = "down.weight", ssft.permuted = ["4", "[[AXIS]]"]
// CHECK-SAME:    ssft.name = "down.weight", ssft.permuted = ["4", "[[AXIS]]"], ssft.role = "state"
// CHECK-SAME:    {ssft.name = "x", ssft.role = "input"}
// CHECK:         linalg.matmul {{.*}} ins(%{{.*}}, %{{.*}} : tensor<3x8xf32>, tensor<4x8xf32>)
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight"},
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
