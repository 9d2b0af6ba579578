// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-expand-contractions,canonicalize,cpu-fold-transposes,canonicalize)' | filecheck %s

// Grouped-query attention: four heads of queries share two of values. The values are repeated,
// merged with the batch, and multiplied. The result goes back to the layout of tokens. Nothing of
// this moves data: batch, groups and heads of a group become loops of the product, of which the
// last one does not move through the values, and which writes where the result belongs.

// CHECK:       #[[V:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d5, d4)>
// CHECK:       #[[OUT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d3, d1, d2, d4)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %{{.*}}: tensor<8x16x16xf32>, %[[VALUES:.*]]: tensor<2x2x16x8xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.generic {indexing_maps = [#{{.*}}, #[[V]], #[[OUT]]]
// CHECK-SAME:      ins(%{{.*}}, %[[VALUES]] : tensor<2x2x2x16x16xf32>, tensor<2x2x16x8xf32>) outs(%{{.*}} : tensor<2x16x2x2x8xf32>)
// CHECK-NOT:     linalg.generic
func.func @step(%p: tensor<8x16x16xf32>, %v: tensor<2x2x16x8xf32>) -> tensor<2x16x2x2x8xf32> {
  %e = tensor.empty() : tensor<2x2x2x16x8xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(b, g, h, i, j) -> (b, g, i, j)>, affine_map<(b, g, h, i, j) -> (b, g, h, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%v : tensor<2x2x16x8xf32>) outs(%e : tensor<2x2x2x16x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<2x2x2x16x8xf32>
  %m = tensor.collapse_shape %t [[0, 1, 2], [3], [4]] : tensor<2x2x2x16x8xf32> into tensor<8x16x8xf32>
  %zero = arith.constant 0.0 : f32
  %d = tensor.empty() : tensor<8x16x8xf32>
  %acc = linalg.fill ins(%zero : f32) outs(%d : tensor<8x16x8xf32>) -> tensor<8x16x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(b, i, j, k) -> (b, i, k)>, affine_map<(b, i, j, k) -> (b, k, j)>,
      affine_map<(b, i, j, k) -> (b, i, j)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %m : tensor<8x16x16xf32>, tensor<8x16x8xf32>) outs(%acc : tensor<8x16x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %q = arith.mulf %a, %b : f32
    %n = arith.addf %c, %q : f32
    linalg.yield %n : f32
  } -> tensor<8x16x8xf32>
  %w = tensor.expand_shape %r [[0, 1, 2], [3], [4]] output_shape [2, 2, 2, 16, 8] : tensor<8x16x8xf32> into tensor<2x2x2x16x8xf32>
  %f = tensor.empty() : tensor<2x16x2x2x8xf32>
  %s = linalg.transpose ins(%w : tensor<2x2x2x16x8xf32>) outs(%f : tensor<2x16x2x2x8xf32>) permutation = [0, 3, 1, 2, 4]
  return %s : tensor<2x16x2x2x8xf32>
}
