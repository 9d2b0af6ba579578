// RUN: ssft-opt %s --cpu-move-transposes | filecheck %s

// Behind a product the transpose moves up, past the reshape that gives batch and heads back, too.

// CHECK-LABEL: func.func @step
// CHECK:         %[[R:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK:         %[[W:.*]] = tensor.expand_shape %[[R]]
// CHECK:         %[[T:.*]] = linalg.generic {{.*}} ins(%[[W]] : tensor<2x4x16x4xf32>) outs(%{{.*}} : tensor<2x16x4x4xf32>)
// CHECK:         %[[S:.*]] = linalg.generic {{.*}} ins(%[[T]] : tensor<2x16x4x4xf32>) outs(%{{.*}} : tensor<2x16x4x4xf64>)
// CHECK:         return %[[S]]
func.func @step(%p: tensor<8x16x16xf32>, %v: tensor<8x16x4xf32>, %acc: tensor<8x16x4xf32>) -> tensor<2x16x4x4xf64> {
  %r = linalg.generic {indexing_maps = [affine_map<(b, i, j, k) -> (b, i, k)>, affine_map<(b, i, j, k) -> (b, k, j)>,
      affine_map<(b, i, j, k) -> (b, i, j)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %v : tensor<8x16x16xf32>, tensor<8x16x4xf32>) outs(%acc : tensor<8x16x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %q = arith.mulf %a, %b : f32
    %n = arith.addf %c, %q : f32
    linalg.yield %n : f32
  } -> tensor<8x16x4xf32>
  %w = tensor.expand_shape %r [[0, 1], [2], [3]] output_shape [2, 4, 16, 4] : tensor<8x16x4xf32> into tensor<2x4x16x4xf32>
  %e = tensor.empty() : tensor<2x4x16x4xf64>
  %s = linalg.generic {indexing_maps = [affine_map<(b, h, i, j) -> (b, h, i, j)>, affine_map<(b, h, i, j) -> (b, h, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%w : tensor<2x4x16x4xf32>) outs(%e : tensor<2x4x16x4xf64>) {
  ^bb0(%a: f32, %o: f64):
    %m = arith.extf %a : f32 to f64
    linalg.yield %m : f64
  } -> tensor<2x4x16x4xf64>
  %f = tensor.empty() : tensor<2x16x4x4xf64>
  %t = linalg.transpose ins(%s : tensor<2x4x16x4xf64>) outs(%f : tensor<2x16x4x4xf64>) permutation = [0, 2, 1, 3]
  return %t : tensor<2x16x4x4xf64>
}
