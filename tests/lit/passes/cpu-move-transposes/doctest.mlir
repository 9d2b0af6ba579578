// RUN: ssft-opt %s --cpu-move-transposes | filecheck %s

// The keys are scaled after they are transposed; now it is the other way round, and the transpose
// stands next to the product that can do without it.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[Q:.*]]: tensor<8x16x4xf32>, %[[K:.*]]: tensor<8x16x4xf32>
// CHECK:         %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[K]], %{{.*}} : tensor<8x16x4xf32>, f32)
// CHECK:         %[[T:.*]] = linalg.generic {{.*}} ins(%[[SCALED]] : tensor<8x16x4xf32>) outs(%{{.*}} : tensor<8x4x16xf32>)
// CHECK:         linalg.generic {{.*}} ins(%[[Q]], %[[T]] :
func.func @step(%q: tensor<8x16x4xf32>, %k: tensor<8x16x4xf32>, %scale: f32, %acc: tensor<8x16x16xf32>) -> tensor<8x16x16xf32> {
  %e = tensor.empty() : tensor<8x4x16xf32>
  %t = linalg.transpose ins(%k : tensor<8x16x4xf32>) outs(%e : tensor<8x4x16xf32>) permutation = [0, 2, 1]
  %s = linalg.generic {indexing_maps = [affine_map<(b, i, j) -> (b, i, j)>, affine_map<(b, i, j) -> ()>,
      affine_map<(b, i, j) -> (b, i, j)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%t, %scale : tensor<8x4x16xf32>, f32) outs(%e : tensor<8x4x16xf32>) {
  ^bb0(%a: f32, %f: f32, %o: f32):
    %m = arith.mulf %a, %f : f32
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
