// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// CHECK-LABEL: func.func @columns
// CHECK-SAME:    (%[[X:.*]]: tensor<8x6xf32>, %[[I:.*]]: tensor<2xi64>)
// CHECK:         %[[R:.*]] = "ssft.gather"(%[[X]], %[[I]]) {dim = 1 : i64}
// CHECK-SAME:      : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
// CHECK:         return %[[R]]
func.func @columns(%x: tensor<8x6xf32>, %i: tensor<2xi64>) -> tensor<8x2xf32> {
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return %r : tensor<8x2xf32>
}

// Constant indices may repeat and come in any order.
// CHECK-LABEL: func.func @constant_indices
// CHECK:         %[[I:.*]] = arith.constant dense<[3, 0, 3]>
// CHECK:         "ssft.gather"(%{{.*}}, %[[I]])
func.func @constant_indices(%x: tensor<4xbf16>) -> tensor<3xbf16> {
  %i = arith.constant dense<[3, 0, 3]> : tensor<3xi64>
  %r = "ssft.gather"(%x, %i) {dim = 0 : i64} : (tensor<4xbf16>, tensor<3xi64>) -> tensor<3xbf16>
  return %r : tensor<3xbf16>
}

// CHECK-LABEL: func.func @no_indices
// CHECK:         "ssft.gather"{{.*}} -> tensor<0x6xf32>
func.func @no_indices(%x: tensor<8x6xf32>, %i: tensor<0xi64>) -> tensor<0x6xf32> {
  %r = "ssft.gather"(%x, %i) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<0xi64>) -> tensor<0x6xf32>
  return %r : tensor<0x6xf32>
}
