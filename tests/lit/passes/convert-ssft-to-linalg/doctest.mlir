// RUN: ssft-opt %s --convert-ssft-to-linalg | filecheck %s

// One step of SGD on two columns of a weight: take them out, update them, put them back. The
// update writes to the tensor that it reads, and the scatter is a loop that carries the weight, so
// bufferization needs no copy of it.

// CHECK-LABEL: func.func @sgd_on_two_columns
// CHECK-SAME:    (%[[W:.*]]: tensor<8x6xf32>, %[[G:.*]]: tensor<8x2xf32>, %[[LR:.*]]: f32)
func.func @sgd_on_two_columns(%w: tensor<8x6xf32>, %g: tensor<8x2xf32>, %lr: f32) -> tensor<8x6xf32> {
  // CHECK: %[[COLUMNS:.*]] = arith.constant dense<[3, 1]>
  %columns = arith.constant dense<[3, 1]> : tensor<2xi64>

  // CHECK: %[[SLICE:.*]] = linalg.generic {{.*}} ins(%[[COLUMNS]] : tensor<2xi64>)
  // CHECK:   tensor.extract %[[W]]
  %slice = "ssft.gather"(%w, %columns) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>

  // CHECK: %[[NEW:.*]] = linalg.generic {{.*}} ins(%[[G]] : tensor<8x2xf32>) outs(%[[SLICE]] : tensor<8x2xf32>)
  // CHECK:   ^bb0(%[[GE:.*]]: f32, %[[WE:.*]]: f32):
  // CHECK:     %[[STEP:.*]] = arith.mulf %[[LR]], %[[GE]]
  // CHECK:     arith.subf %[[WE]], %[[STEP]]
  %new = "ssft.update"(%slice, %g) ({
  ^bb0(%we: f32, %ge: f32):
    %step = arith.mulf %lr, %ge : f32
    %ne = arith.subf %we, %step : f32
    "ssft.yield"(%ne) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<8x2xf32>, tensor<8x2xf32>) -> tensor<8x2xf32>

  // CHECK: %[[R:.*]] = scf.for %[[J:.*]] = {{.*}} iter_args(%[[DEST:.*]] = %[[W]])
  // CHECK:   %[[COLUMN:.*]] = tensor.extract_slice %[[NEW]][0, %[[J]]] [8, 1] [1, 1]
  // CHECK:   linalg.copy ins(%[[COLUMN]]
  // CHECK:   tensor.insert_slice {{.*}} into %[[DEST]]
  %r = "ssft.scatter"(%w, %columns, %new) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<8x2xf32>) -> tensor<8x6xf32>
  // CHECK: return %[[R]]
  return %r : tensor<8x6xf32>
}
