// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-form-updates,canonicalize)' | filecheck %s

// Plain gradient descent, `w - lr * g`, as torch writes it: two element-wise operations. They become
// the region of one `ssft.update`, which says for a single element what happens to all of them. The
// learning rate is read once, outside.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32> {{.*}} %[[LR:[a-z0-9]+]]: tensor<f32>
// CHECK:         %[[G:.*]] = linalg.matmul
// CHECK:         %[[RATE:.*]] = tensor.extract %[[LR]][] : tensor<f32>
// CHECK:         %[[NEW:.*]] = "ssft.update"(%[[W]], %[[G]]) ({
// CHECK-NEXT:    ^bb0(%[[WE:.*]]: f32, %[[GE:.*]]: f32):
// CHECK-NEXT:      %[[DELTA:.*]] = arith.mulf %[[GE]], %[[RATE]] : f32
// CHECK-NEXT:      %[[NE:.*]] = arith.subf %[[WE]], %[[DELTA]] : f32
// CHECK-NEXT:      "ssft.yield"(%[[NE]]) : (f32) -> ()
// CHECK-NEXT:    }) {operandSegmentSizes = array<i32: 1, 0, 1>}
// CHECK-NOT:     linalg.generic
// CHECK:         return %[[NEW]]
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %lr: tensor<f32> {ssft.role = "hyper", ssft.name = "lr"},
    %dy: tensor<4x3xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  %g = linalg.matmul ins(%dy, %x : tensor<4x3xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  %delta = linalg.generic {indexing_maps = [#id, #scalar, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g, %lr : tensor<4x6xf32>, tensor<f32>) outs(%empty : tensor<4x6xf32>) {
  ^bb0(%ge: f32, %rate: f32, %out: f32):
    %r = arith.mulf %ge, %rate : f32
    linalg.yield %r : f32
  } -> tensor<4x6xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w, %delta : tensor<4x6xf32>, tensor<4x6xf32>) outs(%empty : tensor<4x6xf32>) {
  ^bb0(%we: f32, %de: f32, %out: f32):
    %r = arith.subf %we, %de : f32
    linalg.yield %r : f32
  } -> tensor<4x6xf32>
  return %new : tensor<4x6xf32>
}
