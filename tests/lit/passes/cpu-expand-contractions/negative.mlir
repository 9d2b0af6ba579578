// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-expand-contractions,canonicalize,cpu-fold-transposes)' | filecheck %s

// A linear layer after attention: tokens x hidden is one matrix only when it is merged, and the
// product is faster on one matrix than on one for each head. So the transpose stays.

// CHECK-LABEL: func.func @step
// CHECK:         linalg.transpose
// CHECK:         tensor.collapse_shape %{{.*}} {{\[}}[0, 1], [2, 3]] : tensor<2x16x4x8xf32> into tensor<32x32xf32>
// CHECK:         linalg.generic
func.func @step(%x: tensor<2x4x16x8xf32>, %w: tensor<32x64xf32>, %acc: tensor<32x64xf32>) -> tensor<32x64xf32> {
  %e = tensor.empty() : tensor<2x16x4x8xf32>
  %t = linalg.transpose ins(%x : tensor<2x4x16x8xf32>) outs(%e : tensor<2x16x4x8xf32>) permutation = [0, 2, 1, 3]
  %m = tensor.collapse_shape %t [[0, 1], [2, 3]] : tensor<2x16x4x8xf32> into tensor<32x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>,
      affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%m, %w : tensor<32x32xf32>, tensor<32x64xf32>) outs(%acc : tensor<32x64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %q = arith.mulf %a, %b : f32
    %n = arith.addf %c, %q : f32
    linalg.yield %n : f32
  } -> tensor<32x64xf32>
  return %r : tensor<32x64xf32>
}
