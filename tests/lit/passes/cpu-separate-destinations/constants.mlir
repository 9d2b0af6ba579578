// RUN: ssft-opt %s --cpu-separate-destinations | filecheck %s

// The gradient of a slice starts from zeros: made where they are needed instead of copied.
// CHECK-LABEL: func.func @step
// CHECK:         %[[E:.*]] = tensor.empty() : tensor<4x8xf32>
// CHECK:         %[[Z:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%[[E]] : tensor<4x8xf32>)
// CHECK:         tensor.insert_slice %{{.*}} into %[[Z]]
// Different constants stay: nothing computes them.
// CHECK:         tensor.insert_slice %{{.*}} into %cst
func.func @step(%x: tensor<4x4xf32>) -> (tensor<4x8xf32>, tensor<2xf32>) {
  %zeros = arith.constant dense<0.0> : tensor<4x8xf32>
  %table = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %put = tensor.insert_slice %x into %zeros[0, 0] [4, 4] [1, 1] : tensor<4x4xf32> into tensor<4x8xf32>
  %one = tensor.extract_slice %x[0, 0] [1, 1] [1, 1] : tensor<4x4xf32> to tensor<1xf32>
  %other = tensor.insert_slice %one into %table[0] [1] [1] : tensor<1xf32> into tensor<2xf32>
  return %put, %other : tensor<4x8xf32>, tensor<2xf32>
}
