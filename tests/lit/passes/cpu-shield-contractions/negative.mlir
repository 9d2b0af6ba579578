// RUN: ssft-opt %s --cpu-shield-contractions -split-input-file | filecheck %s

// An accumulator that is no fill of zeros stays an operand.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[ACC:[a-z0-9]+]]: tensor<4x4xf32>)
// CHECK:         call @contraction_0(%{{.*}}, %{{.*}}, %[[ACC]])
func.func @step(%a: tensor<4x4xf32>, %acc: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %r = linalg.matmul ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%acc : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}

// -----

// So does a fill with ones.
// CHECK-LABEL: func.func @step
// CHECK:         %[[ONES:.*]] = linalg.fill
// CHECK:         call @contraction_0(%{{.*}}, %{{.*}}, %[[ONES]])
func.func @step(%a: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %ones = linalg.fill ins(%one : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = linalg.matmul ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%ones : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}

// -----

// Operations that are no contraction stay where fusion can reach them.
// CHECK-LABEL: func.func @step
// CHECK:         linalg.exp
// CHECK-NOT:     call
func.func @step(%a: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %e = tensor.empty() : tensor<4x4xf32>
  %r = linalg.exp ins(%a : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}
