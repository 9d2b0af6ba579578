// RUN: ssft-opt %s --ssft-verify | filecheck %s

// The end of every compilation: does the plan keep the rules that tie its parts together? Here
// columns 2 and 3 of a weight train; momentum and gradient are of that size. Nothing is changed.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<4x2xf32> {ssft.name = "fc.weight", ssft.role = "state"
// CHECK:         "ssft.weight_grad"{{.*}} -> tensor<4x2xf32>
// CHECK:         "ssft.update"
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>}},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  %xs = tensor.extract_slice %x[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %gs = "ssft.weight_grad"(%dy, %xs) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %ws = tensor.extract_slice %w[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  %new:2 = "ssft.update"(%ws, %m, %gs) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>, ssft.tile = {columns = array<i64: 2, 3>}} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  %put = tensor.insert_slice %new#0 into %w[0, 2] [4, 2] [1, 1] : tensor<4x2xf32> into tensor<4x6xf32>
  return %put, %new#1 : tensor<4x6xf32>, tensor<4x2xf32>
}
