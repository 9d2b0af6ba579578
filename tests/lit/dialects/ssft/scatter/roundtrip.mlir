// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// CHECK-LABEL: func.func @rows
// CHECK-SAME:    (%[[X:.*]]: tensor<8x6xf32>, %[[I:.*]]: tensor<2xi64>, %[[S:.*]]: tensor<2x6xf32>)
// CHECK:         %[[R:.*]] = "ssft.scatter"(%[[X]], %[[I]], %[[S]]) {dim = 0 : i64}
// CHECK-SAME:      : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
// CHECK:         return %[[R]]
func.func @rows(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) -> tensor<8x6xf32> {
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return %r : tensor<8x6xf32>
}
