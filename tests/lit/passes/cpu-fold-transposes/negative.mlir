// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-fold-transposes,canonicalize)' -split-input-file | filecheck %s

// An element-wise reader is no contraction.
// CHECK-LABEL: func.func @elementwise
// CHECK:         linalg.transpose
// CHECK:         linalg.exp
func.func @elementwise(%a: tensor<3x5xf32>) -> tensor<5x3xf32> {
  %e = tensor.empty() : tensor<5x3xf32>
  %t = linalg.transpose ins(%a : tensor<3x5xf32>) outs(%e : tensor<5x3xf32>) permutation = [1, 0]
  %r = linalg.exp ins(%t : tensor<5x3xf32>) outs(%e : tensor<5x3xf32>) -> tensor<5x3xf32>
  return %r : tensor<5x3xf32>
}

// -----

// A broadcast is no permutation: the product would lose a dimension.
// CHECK-LABEL: func.func @broadcast
// CHECK:         %[[B:.*]] = linalg.broadcast
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[B]] :
func.func @broadcast(%a: tensor<3x5xf32>, %b: tensor<4xf32>, %c: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %e = tensor.empty() : tensor<5x4xf32>
  %w = linalg.broadcast ins(%b : tensor<4xf32>) outs(%e : tensor<5x4xf32>) dimensions = [0]
  %r = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %w : tensor<3x5xf32>, tensor<5x4xf32>) outs(%c : tensor<3x4xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %t = arith.addf %z, %p : f32
    linalg.yield %t : f32
  } -> tensor<3x4xf32>
  return %r : tensor<3x4xf32>
}
