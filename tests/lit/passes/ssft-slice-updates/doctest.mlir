// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-slice-updates,canonicalize,cse)' | filecheck %s

// Columns 2 and 3 of a weight train. Their gradient is a product of slices, `dy.T @ x[:, 2:4]`; the
// momentum is an argument of that size; the update computes 4x2 instead of 4x6 elements, and its
// result is put back into the weight. The dense gradient is gone.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32> {{.*}}ssft.role = "trainable"}
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<4x2xf32> {{.*}}ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>}}
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<3x4xf32>
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK-SAME:    -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64})
// CHECK-NOT:     linalg.matmul
// CHECK-DAG:     %[[XC:.*]] = tensor.extract_slice %[[X]][0, 2] [3, 2] [1, 1]
// CHECK-DAG:     %[[G:.*]] = "ssft.weight_grad"(%[[DY]], %[[XC]]) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
// CHECK-DAG:     %[[WC:.*]] = tensor.extract_slice %[[W]][0, 2] [4, 2] [1, 1]
// CHECK:         %[[NEW:.*]]:2 = "ssft.update"(%[[WC]], %[[M]], %[[G]])
// CHECK:         %[[PUT:.*]] = tensor.insert_slice %[[NEW]]#0 into %[[W]][0, 2] [4, 2] [1, 1]
// CHECK:         return %[[PUT]], %[[NEW]]#1
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection"}},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  %g = linalg.matmul indexing_maps = [#lhs, #rhs, #out]
      ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}
