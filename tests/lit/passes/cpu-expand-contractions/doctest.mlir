// RUN: ssft-opt %s --cpu-expand-contractions | filecheck %s

// Batch and heads of the values are merged after they have been transposed. The product runs over
// both now; the probabilities, which nobody has transposed, are seen as if they had been cut.

// CHECK:       #[[P:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
// CHECK:       #[[V:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d4, d3)>
// CHECK-LABEL: func.func @step
// CHECK:         %[[T:.*]] = linalg.transpose
// CHECK:         %[[W:.*]] = tensor.expand_shape %{{.*}} {{\[}}[0, 1], [2], [3]] output_shape [2, 4, 16, 16]
// CHECK:         %[[R:.*]] = linalg.generic {indexing_maps = [#[[P]], #[[V]],
// CHECK-SAME:      ins(%[[W]], %[[T]] : tensor<2x4x16x16xf32>, tensor<2x4x16x8xf32>)
// CHECK:         tensor.collapse_shape %[[R]] {{\[}}[0, 1], [2], [3]]
func.func @step(%p: tensor<8x16x16xf32>, %v: tensor<2x16x4x8xf32>) -> tensor<8x16x8xf32> {
  %e = tensor.empty() : tensor<2x4x16x8xf32>
  %t = linalg.transpose ins(%v : tensor<2x16x4x8xf32>) outs(%e : tensor<2x4x16x8xf32>) permutation = [0, 2, 1, 3]
  %m = tensor.collapse_shape %t [[0, 1], [2], [3]] : tensor<2x4x16x8xf32> into tensor<8x16x8xf32>
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
  return %r : tensor<8x16x8xf32>
}
