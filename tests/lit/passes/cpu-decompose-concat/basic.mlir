// RUN: ssft-opt %s --cpu-decompose-concat -split-input-file | filecheck %s

// Rows, three parts.
// CHECK-LABEL: func.func @rows
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[0, 0] [1, 4] [1, 1]
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[1, 0] [2, 4] [1, 1]
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[3, 0] [1, 4] [1, 1]
// CHECK-NOT:     tensor.insert_slice
func.func @rows(%a: tensor<1x4xf32>, %b: tensor<2x4xf32>) -> tensor<4x4xf32> {
  %c = tensor.concat dim(0) %a, %b, %a : (tensor<1x4xf32>, tensor<2x4xf32>, tensor<1x4xf32>) -> tensor<4x4xf32>
  return %c : tensor<4x4xf32>
}

// -----

// A concatenation inside a loop.
// CHECK-LABEL: func.func @nested
// CHECK:         scf.for
// CHECK:           tensor.empty
// CHECK-COUNT-2:   tensor.insert_slice
// CHECK:           scf.yield
func.func @nested(%a: tensor<2xi64>, %init: tensor<4xi64>) -> tensor<4xi64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%x = %init) -> tensor<4xi64> {
    %c = tensor.concat dim(0) %a, %a : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
    scf.yield %c : tensor<4xi64>
  }
  return %r : tensor<4xi64>
}
