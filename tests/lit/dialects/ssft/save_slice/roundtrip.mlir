// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// CHECK-LABEL: func.func @columns
// CHECK-SAME:    (%[[X:.*]]: tensor<4x8xf32>)
// CHECK:         %[[R:.*]] = "ssft.save_slice"(%[[X]]) {dim = 1 : i64, offset = 3 : i64, size = 2 : i64}
// CHECK-SAME:      : (tensor<4x8xf32>) -> tensor<4x2xf32>
// CHECK:         return %[[R]]
func.func @columns(%x: tensor<4x8xf32>) -> tensor<4x2xf32> {
  %r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 3 : i64, size = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x2xf32>
  return %r : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @up_to_the_end
// CHECK:         "ssft.save_slice"
func.func @up_to_the_end(%x: tensor<4x8xf32>) -> tensor<1x8xf32> {
  %r = "ssft.save_slice"(%x) {dim = 0 : i64, offset = 3 : i64, size = 1 : i64} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  return %r : tensor<1x8xf32>
}
