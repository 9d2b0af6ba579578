// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// CHECK-LABEL: func.func @two_token_dimensions
// CHECK-SAME:    (%[[DY:.*]]: tensor<2x4x8xf32>, %[[X:.*]]: tensor<2x4x3xf32>)
// CHECK:         %[[R:.*]] = "ssft.weight_grad"(%[[DY]], %[[X]])
// CHECK-SAME:      : (tensor<2x4x8xf32>, tensor<2x4x3xf32>) -> tensor<8x3xf32>
// CHECK:         return %[[R]]
func.func @two_token_dimensions(%dy: tensor<2x4x8xf32>, %x: tensor<2x4x3xf32>) -> tensor<8x3xf32> {
  %r = "ssft.weight_grad"(%dy, %x) : (tensor<2x4x8xf32>, tensor<2x4x3xf32>) -> tensor<8x3xf32>
  return %r : tensor<8x3xf32>
}

// CHECK-LABEL: func.func @accumulates_in_f32
// CHECK:         "ssft.weight_grad"{{.*}} : (tensor<4x8xbf16>, tensor<4x3xbf16>) -> tensor<8x3xf32>
func.func @accumulates_in_f32(%dy: tensor<4x8xbf16>, %x: tensor<4x3xbf16>) -> tensor<8x3xf32> {
  %r = "ssft.weight_grad"(%dy, %x) : (tensor<4x8xbf16>, tensor<4x3xbf16>) -> tensor<8x3xf32>
  return %r : tensor<8x3xf32>
}
