// RUN: ssft-opt %s --verify-roundtrip | filecheck %s

// CHECK-LABEL: func.func @gather_columns
// CHECK-SAME:    (%[[X:.*]]: tensor<8x6xf32>, %[[I:.*]]: tensor<2xi64>)
// CHECK:         %[[R:.*]] = "ssft.gather"(%[[X]], %[[I]]) {dim = 1 : i64}
// CHECK-SAME:      : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
// CHECK:         return %[[R]]
func.func @gather_columns(%x: tensor<8x6xf32>, %i: tensor<2xi64>) -> tensor<8x2xf32> {
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return %r : tensor<8x2xf32>
}
