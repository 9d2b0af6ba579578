// RUN: ssft-opt %s --ssft-inline-layers -split-input-file | filecheck %s

// A function that was not outlined from the step is somebody else's.
// CHECK-LABEL: func.func @step
// CHECK-NEXT:    call @helper
// CHECK:       func.func private @helper
func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<4xf32> {ssft.role = "loss"}) {
  %a = call @helper(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %a : tensor<4xf32>
}
func.func private @helper(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// A flat step stays as it is, and so does a module without one.
// CHECK-LABEL: func.func @step
// CHECK-NEXT:    arith.negf
// CHECK-NEXT:    return
func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<4xf32> {ssft.role = "loss"}) {
  %a = arith.negf %x : tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @forward
func.func @forward() {
  return
}
