// RUN: ssft-opt %s --cpu-separate-destinations | filecheck %s

// A destination with data in it is not cloned, and neither is one that nobody else uses.
// CHECK-LABEL: func.func @step
// CHECK-COUNT-1: tensor.empty
// CHECK-NOT:     tensor.empty
// CHECK-COUNT-1: linalg.exp
// CHECK-NOT:     linalg.exp
func.func @step(%a: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %e = tensor.empty() : tensor<4x4xf32>
  %acc = linalg.exp ins(%a : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %x = linalg.matmul ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%acc : tensor<4x4xf32>) -> tensor<4x4xf32>
  %y = linalg.matmul ins(%a, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%acc : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %x, %y : tensor<4x4xf32>, tensor<4x4xf32>
}
