// RUN: ssft-opt %s --cpu-split-reductions | filecheck %s

// The gradient of a bias: the sums over the batch are kept apart until the end.
// CHECK-LABEL: func.func @step
// CHECK:         %[[PARTS:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "parallel"]}
// CHECK-SAME:      outs(%{{.*}} : tensor<4x32xf64>)
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]} ins(%[[PARTS]] :
func.func @step(%dy: tensor<4x2048x32xf64>, %acc: tensor<32xf64>) -> tensor<32xf64> {
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d2)>],
      iterator_types = ["reduction", "reduction", "parallel"]} ins(%dy : tensor<4x2048x32xf64>) outs(%acc : tensor<32xf64>) {
  ^bb0(%a: f64, %s: f64):
    %t = arith.addf %a, %s : f64
    linalg.yield %t : f64
  } -> tensor<32xf64>
  return %r : tensor<32xf64>
}
