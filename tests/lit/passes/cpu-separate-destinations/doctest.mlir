// RUN: ssft-opt %s --cpu-separate-destinations | filecheck %s

// CSE has merged the zeros from which both products start. Each gets its own: bufferization would
// otherwise have to copy them.

// CHECK-LABEL: func.func @step
// CHECK-DAG:     %[[E1:.*]] = tensor.empty()
// CHECK-DAG:     %[[E2:.*]] = tensor.empty()
// CHECK-DAG:     %[[Z1:.*]] = linalg.fill {{.*}} outs(%[[E1]] :
// CHECK-DAG:     %[[Z2:.*]] = linalg.fill {{.*}} outs(%[[E2]] :
// CHECK-DAG:     linalg.matmul ins(%{{.*}}, %{{.*}} : {{.*}} outs(%[[Z1]] :
// CHECK-DAG:     linalg.matmul ins(%{{.*}}, %{{.*}} : {{.*}} outs(%[[Z2]] :
func.func @step(%a: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %x = linalg.matmul ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  %y = linalg.matmul ins(%a, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %x, %y : tensor<4x4xf32>, tensor<4x4xf32>
}
