// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-fold-transposes,canonicalize)' | filecheck %s

// Transposes of transposes, here as generic operations, fold one after the other: nothing is left.
// CHECK-DAG:   #[[A:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<4x5xf32>, %[[Y:[a-z0-9]+]]: tensor<5x6xf32>
// CHECK-COUNT-1: linalg.generic {indexing_maps = [#[[A]],
// CHECK-SAME:      ins(%[[X]], %[[Y]] :
// CHECK-NOT:     linalg.generic
#id = affine_map<(d0, d1) -> (d0, d1)>
#swap = affine_map<(d0, d1) -> (d1, d0)>
func.func @step(%x: tensor<4x5xf32>, %y: tensor<5x6xf32>, %acc: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %e = tensor.empty() : tensor<5x4xf32>
  %t = linalg.generic {indexing_maps = [#swap, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x5xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<5x4xf32>
  %f = tensor.empty() : tensor<4x5xf32>
  %u = linalg.generic {indexing_maps = [#id, #swap], iterator_types = ["parallel", "parallel"]}
      ins(%t : tensor<5x4xf32>) outs(%f : tensor<4x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<4x5xf32>
  %r = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%u, %y : tensor<4x5xf32>, tensor<5x6xf32>) outs(%acc : tensor<4x6xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}
