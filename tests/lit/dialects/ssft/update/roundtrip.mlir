// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// A bf16 weight with f32 states and gradient, and a learning rate from outside.
// CHECK-LABEL: func.func @momentum
// CHECK-SAME:    (%[[W:.*]]: tensor<8x3xbf16>, %[[M:.*]]: tensor<8x3xf32>, %[[G:.*]]: tensor<8x3xf32>, %[[LR:.*]]: f32)
// CHECK:         %[[R:.*]]:2 = "ssft.update"(%[[W]], %[[M]], %[[G]]) ({
// CHECK-NEXT:    ^bb0(%[[WE:.*]]: bf16, %[[ME:.*]]: f32, %[[GE:.*]]: f32):
// CHECK:           arith.mulf %[[LR]]
// CHECK:           "ssft.yield"(%{{.*}}, %{{.*}}) : (bf16, f32) -> ()
// CHECK-NEXT:    }) {operandSegmentSizes = array<i32: 1, 1, 1>}
// CHECK-SAME:      : (tensor<8x3xbf16>, tensor<8x3xf32>, tensor<8x3xf32>) -> (tensor<8x3xbf16>, tensor<8x3xf32>)
// CHECK:         return %[[R]]#0, %[[R]]#1
func.func @momentum(%w: tensor<8x3xbf16>, %m: tensor<8x3xf32>, %g: tensor<8x3xf32>, %lr: f32) -> (tensor<8x3xbf16>, tensor<8x3xf32>) {
  %r:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: bf16, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %step = arith.mulf %lr, %mn : f32
    %wide = arith.extf %we : bf16 to f32
    %wn = arith.subf %wide, %step : f32
    %wb = arith.truncf %wn : f32 to bf16
    "ssft.yield"(%wb, %mn) : (bf16, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<8x3xbf16>, tensor<8x3xf32>, tensor<8x3xf32>) -> (tensor<8x3xbf16>, tensor<8x3xf32>)
  return %r#0, %r#1 : tensor<8x3xbf16>, tensor<8x3xf32>
}

// CHECK-LABEL: func.func @no_state_two_gradients
// CHECK:         "ssft.update"
// CHECK:         operandSegmentSizes = array<i32: 1, 0, 2>
func.func @no_state_two_gradients(%w: tensor<4xf32>, %g: tensor<4xf32>) -> tensor<4xf32> {
  %r = "ssft.update"(%w, %g, %g) ({
  ^bb0(%we: f32, %a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    %n = arith.subf %we, %s : f32
    "ssft.yield"(%n) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 2>} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
