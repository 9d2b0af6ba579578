// RUN: ssft-opt %s --ssft-verify -split-input-file | filecheck %s

// A whole product of a masked parameter's shape that is not its gradient: no business of (V5).
// CHECK-LABEL: func.func @step
// CHECK:         linalg.matmul
// CHECK:         "ssft.update"
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>}},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}, tensor<4x6xf32> {ssft.role = "metric"}) {
  %xs = tensor.extract_slice %x[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  %dense = linalg.matmul indexing_maps = [#lhs, #rhs, #out] ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  %gs = "ssft.weight_grad"(%dy, %xs) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %ws = tensor.extract_slice %w[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  %new:2 = "ssft.update"(%ws, %m, %gs) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>, ssft.tile = {columns = array<i64: 2, 3>}} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  %put = tensor.insert_slice %new#0 into %w[0, 2] [4, 2] [1, 1] : tensor<4x2xf32> into tensor<4x6xf32>
  return %put, %new#1, %dense : tensor<4x6xf32>, tensor<4x2xf32>, tensor<4x6xf32>
}

// -----

// A mask of all columns: the whole gradient is the gradient of the slice.
// CHECK-LABEL: func.func @step
// CHECK:         "ssft.update"
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 0, 1, 2, 3, 4, 5>, combine = "intersection"}},
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

// A mask of nothing has no tiles, and so no states.
// CHECK-LABEL: func.func @step
func.func @step(%w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {rows = array<i64>, combine = "intersection"}}) {
  return
}
