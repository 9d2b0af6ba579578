// RUN: ssft-opt %s --cpu-shield-contractions | filecheck %s
// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-shield-contractions,inline,symbol-dce)' | filecheck %s --check-prefix=BACK

// Two products of the same form become calls of one function, which takes the zeros along. What
// fusion sees in @step is only calls; `inline` brings the products back.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<4x8xf32>, %[[A:[a-z0-9]+]]: tensor<8x8xf32>, %[[B:[a-z0-9]+]]: tensor<8x8xf32>
// CHECK-NOT:     linalg.matmul
// CHECK:         %[[Y:.*]] = call @contraction_0(%[[X]], %[[A]])
// CHECK-NEXT:    %[[Z:.*]] = call @contraction_0(%[[Y]], %[[B]])
// CHECK-NEXT:    return %[[Z]]
// CHECK-LABEL: func.func private @contraction_0
// CHECK-SAME:    (%[[L:.*]]: tensor<4x8xf32>, %[[R:.*]]: tensor<8x8xf32>)
// CHECK:         %[[ZEROS:.*]] = linalg.fill
// CHECK:         linalg.matmul ins(%[[L]], %[[R]] : {{.*}} outs(%[[ZEROS]] :
// CHECK-NOT:   @contraction_1

// BACK-NOT:      call
// BACK-COUNT-2:  linalg.matmul
// BACK-NOT:      func.func private
func.func @step(%x: tensor<4x8xf32>, %a: tensor<8x8xf32>, %b: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = linalg.matmul ins(%x, %a : tensor<4x8xf32>, tensor<8x8xf32>) outs(%zeros : tensor<4x8xf32>) -> tensor<4x8xf32>
  %z = linalg.matmul ins(%y, %b : tensor<4x8xf32>, tensor<8x8xf32>) outs(%zeros : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}
