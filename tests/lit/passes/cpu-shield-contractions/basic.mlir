// RUN: ssft-opt %s --cpu-shield-contractions | filecheck %s

// Products of other shapes or layouts get functions of their own.
// CHECK-LABEL: func.func @step
// CHECK:         call @contraction_0({{.*}}) : (tensor<4x8xf32>, tensor<8x8xf32>, tensor<4x8xf32>)
// CHECK:         call @contraction_1({{.*}}) : (tensor<4x8xf32>, tensor<8x8xf32>, tensor<4x8xf32>)
// CHECK:         call @contraction_2({{.*}}) : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>)
// CHECK-DAG:     func.func private @contraction_0
// CHECK-DAG:     func.func private @contraction_1
// CHECK-DAG:     func.func private @contraction_2
#a = affine_map<(m, n, k) -> (m, k)>
#bt = affine_map<(m, n, k) -> (n, k)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @step(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %acc: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<8x8xf32>) {
  %y = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%acc : tensor<4x8xf32>) -> tensor<4x8xf32>
  %z = linalg.matmul indexing_maps = [#a, #bt, #c] ins(%y, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%acc : tensor<4x8xf32>) -> tensor<4x8xf32>
  %v = linalg.matmul ins(%w, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%w : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %z, %v : tensor<4x8xf32>, tensor<8x8xf32>
}
