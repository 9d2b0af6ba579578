// RUN: ssft-opt %s --cpu-move-transposes | filecheck %s

// The operation reads two arrays element by element. The other one would have to be transposed
// instead.

// CHECK-LABEL: func.func @step
// CHECK:         %[[T:.*]] = linalg.transpose
// CHECK:         linalg.generic {{.*}} ins(%[[T]], %{{.*}} : tensor<8x4x16xf32>, tensor<8x4x16xf32>)
func.func @step(%q: tensor<8x16x4xf32>, %k: tensor<8x16x4xf32>, %bias: tensor<8x4x16xf32>, %acc: tensor<8x16x16xf32>) -> tensor<8x16x16xf32> {
  %e = tensor.empty() : tensor<8x4x16xf32>
  %t = linalg.transpose ins(%k : tensor<8x16x4xf32>) outs(%e : tensor<8x4x16xf32>) permutation = [0, 2, 1]
  %s = linalg.generic {indexing_maps = [affine_map<(b, i, j) -> (b, i, j)>, affine_map<(b, i, j) -> (b, i, j)>,
      affine_map<(b, i, j) -> (b, i, j)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%t, %bias : tensor<8x4x16xf32>, tensor<8x4x16xf32>) outs(%e : tensor<8x4x16xf32>) {
  ^bb0(%a: f32, %f: f32, %o: f32):
    %m = arith.addf %a, %f : f32
    linalg.yield %m : f32
  } -> tensor<8x4x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(b, i, j, k) -> (b, i, k)>, affine_map<(b, i, j, k) -> (b, k, j)>,
      affine_map<(b, i, j, k) -> (b, i, j)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %s : tensor<8x16x4xf32>, tensor<8x4x16xf32>) outs(%acc : tensor<8x16x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %n = arith.addf %c, %p : f32
    linalg.yield %n : f32
  } -> tensor<8x16x16xf32>
  return %r : tensor<8x16x16xf32>
}
