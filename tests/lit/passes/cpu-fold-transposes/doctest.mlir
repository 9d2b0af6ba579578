// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-fold-transposes,canonicalize)' | filecheck %s

// Attention multiplies queries [batch, token, head, size] with keys laid out alike. The permutations
// in front of the product become indexing maps: BLAS will read both arrays where they lie.

// CHECK-DAG:   #[[Q:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d4)>
// CHECK-DAG:   #[[K:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d1, d4)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[QUERY:[a-z0-9]+]]: tensor<2x5x3x4xf32>, %[[KEY:[a-z0-9]+]]: tensor<2x7x3x4xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.generic {indexing_maps = [#[[Q]], #[[K]], #{{.*}}]
// CHECK-SAME:      ins(%[[QUERY]], %[[KEY]]
func.func @step(%q: tensor<2x5x3x4xf32>, %k: tensor<2x7x3x4xf32>, %acc: tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> {
  %e = tensor.empty() : tensor<2x3x5x4xf32>
  %qt = linalg.transpose ins(%q : tensor<2x5x3x4xf32>) outs(%e : tensor<2x3x5x4xf32>) permutation = [0, 2, 1, 3]
  %f = tensor.empty() : tensor<2x3x4x7xf32>
  %kt = linalg.transpose ins(%k : tensor<2x7x3x4xf32>) outs(%f : tensor<2x3x4x7xf32>) permutation = [0, 2, 3, 1]
  %s = linalg.generic {
      indexing_maps = [affine_map<(b, h, i, j, d) -> (b, h, i, d)>,
                       affine_map<(b, h, i, j, d) -> (b, h, d, j)>,
                       affine_map<(b, h, i, j, d) -> (b, h, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%qt, %kt : tensor<2x3x5x4xf32>, tensor<2x3x4x7xf32>) outs(%acc : tensor<2x3x5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %c, %p : f32
    linalg.yield %t : f32
  } -> tensor<2x3x5x7xf32>
  return %s : tensor<2x3x5x7xf32>
}
