// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// CHECK-LABEL: func.func @embedding_gradient
// CHECK-SAME:    (%[[X:.*]]: tensor<100x8xf32>, %[[I:.*]]: tensor<4xi64>, %[[U:.*]]: tensor<4x8xf32>)
// CHECK:         %[[R:.*]] = "ssft.scatter_add"(%[[X]], %[[I]], %[[U]]) {dim = 0 : i64}
// CHECK-SAME:      : (tensor<100x8xf32>, tensor<4xi64>, tensor<4x8xf32>) -> tensor<100x8xf32>
// CHECK:         return %[[R]]
func.func @embedding_gradient(%x: tensor<100x8xf32>, %i: tensor<4xi64>, %u: tensor<4x8xf32>) -> tensor<100x8xf32> {
  %r = "ssft.scatter_add"(%x, %i, %u) {dim = 0 : i64} : (tensor<100x8xf32>, tensor<4xi64>, tensor<4x8xf32>) -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}

// Unlike ssft.scatter, constant indices may repeat.
// CHECK-LABEL: func.func @duplicates
// CHECK:         "ssft.scatter_add"
func.func @duplicates(%x: tensor<4xi32>, %u: tensor<3xi32>) -> tensor<4xi32> {
  %i = arith.constant dense<2> : tensor<3xi64>
  %r = "ssft.scatter_add"(%x, %i, %u) {dim = 0 : i64} : (tensor<4xi32>, tensor<3xi64>, tensor<3xi32>) -> tensor<4xi32>
  return %r : tensor<4xi32>
}
