// RUN: ssft-opt %s --cpu-split-reductions | filecheck %s

// The squared norm of a gradient: first one sum for each row, then the sum of these.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<64x128xf32>, %[[ACC:[a-z0-9]+]]: tensor<f32>)
// CHECK:         %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<64xf32>
// CHECK:         %[[ROWS:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK-SAME:      ins(%[[G]] : tensor<64x128xf32>) outs(%[[ZEROS]] : tensor<64xf32>)
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["reduction"]}
// CHECK-SAME:      ins(%[[ROWS]] : tensor<64xf32>) outs(%[[ACC]] : tensor<f32>)
// CHECK:         return %[[SUM]]
func.func @step(%g: tensor<64x128xf32>, %acc: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>],
      iterator_types = ["reduction", "reduction"]} ins(%g : tensor<64x128xf32>) outs(%acc : tensor<f32>) {
  ^bb0(%a: f32, %s: f32):
    %q = arith.mulf %a, %a : f32
    %t = arith.addf %s, %q : f32
    linalg.yield %t : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}
