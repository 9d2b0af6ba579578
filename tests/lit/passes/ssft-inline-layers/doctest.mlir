// RUN: ssft-opt %s --ssft-inline-layers | filecheck %s

// Both calls are replaced by what the function does. The constant is the one that the step has.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<4xf32>
// CHECK-NEXT:    %[[HALF:.*]] = arith.constant dense<5.0
// CHECK-NEXT:    %[[A:.*]] = arith.mulf %[[X]], %[[HALF]]
// CHECK-NEXT:    %[[B:.*]] = arith.mulf %[[A]], %[[HALF]]
// CHECK-NEXT:    return %[[B]]
// CHECK-NOT:   func.func
func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<4xf32> {ssft.role = "loss"}) {
  %half = arith.constant dense<0.5> : tensor<4xf32>
  %a = call @repeated_0(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %b = call @repeated_0(%a) : (tensor<4xf32>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}
func.func private @repeated_0(%x: tensor<4xf32>) -> tensor<4xf32> attributes {ssft.outlined} {
  %half = arith.constant dense<0.5> : tensor<4xf32>
  %r = arith.mulf %x, %half : tensor<4xf32>
  return %r : tensor<4xf32>
}
