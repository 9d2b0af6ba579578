// RUN: ssft-opt %s --cpu-widen-sums | filecheck %s

// The gradient of a bias: 4096 tokens are added up in f32, and the sum is rounded.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<4096x32xbf16>)
// CHECK:         %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<32xf32>
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]}
// CHECK-SAME:      ins(%[[DY]] : tensor<4096x32xbf16>) outs(%[[ZEROS]] : tensor<32xf32>)
// CHECK:         ^bb0(%[[A:.*]]: bf16, %[[S:.*]]: f32):
// CHECK-NEXT:      %[[WIDE:.*]] = arith.extf %[[A]] : bf16 to f32
// CHECK-NEXT:      arith.addf %[[WIDE]], %[[S]] : f32
// CHECK:         %[[ROUNDED:.*]] = linalg.generic {{.*}} ins(%[[SUM]] : tensor<32xf32>)
// CHECK:           arith.truncf {{.*}} : f32 to bf16
// CHECK:         return %[[ROUNDED]]
func.func @step(%dy: tensor<4096x32xbf16>) -> tensor<32xbf16> {
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : tensor<32xbf16>
  %zeros = linalg.fill ins(%zero : bf16) outs(%empty : tensor<32xbf16>) -> tensor<32xbf16>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>],
      iterator_types = ["reduction", "parallel"]} ins(%dy : tensor<4096x32xbf16>) outs(%zeros : tensor<32xbf16>) {
  ^bb0(%a: bf16, %s: bf16):
    %t = arith.addf %a, %s : bf16
    linalg.yield %t : bf16
  } -> tensor<32xbf16>
  return %r : tensor<32xbf16>
}
