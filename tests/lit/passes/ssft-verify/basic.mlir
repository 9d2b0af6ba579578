// RUN: ssft-opt %s --ssft-verify -split-input-file | filecheck %s

// A dense plan.
// CHECK-LABEL: func.func @step
// CHECK:         "ssft.update"
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}

// -----

// A permuted plan: the tile lists its columns as they are stored.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    ssft.permuted = ["4", "a"]
// CHECK-SAME:    ssft.tile = {columns = array<i64: 5, 1>}
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 0, 2, 5, 1>}}} {
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 1, 5>, combine = "intersection"}, ssft.permuted = ["4", "a"]},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 5, 1>}},
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
  }) {operandSegmentSizes = array<i32: 1, 1, 1>, ssft.tile = {columns = array<i64: 5, 1>}} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  %put = tensor.insert_slice %new#0 into %w[0, 2] [4, 2] [1, 1] : tensor<4x2xf32> into tensor<4x6xf32>
  return %put, %new#1 : tensor<4x6xf32>, tensor<4x2xf32>
}
}

// -----

// A concatenated dimension.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    ssft.permuted = ["h*2 + 4"]
module attributes {ssft.permutations = {h = {size = 3 : i64, front = array<i64: 2>}}} {
  func.func @step(%w: tensor<10xf32> {ssft.role = "frozen", ssft.name = "w", ssft.permuted = ["h*2 + 4"]}) {
    return
  }
}
