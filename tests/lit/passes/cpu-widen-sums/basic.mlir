// RUN: ssft-opt %s --cpu-widen-sums | filecheck %s

// What is added up is computed as before; a start other than zeros is widened.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[ACC:[a-z0-9]+]]: tensor<f16>)
// CHECK:         %[[START:.*]] = linalg.generic {{.*}} ins(%[[ACC]] : tensor<f16>)
// CHECK:           arith.extf {{.*}} : f16 to f32
// CHECK:         linalg.generic {{.*}} outs(%[[START]] : tensor<f32>)
// CHECK:         ^bb0(%[[A:.*]]: f16, %[[B:.*]]: f32, %[[S:.*]]: f32):
// CHECK-NEXT:      %[[SQUARE:.*]] = arith.mulf %[[A]], %[[A]] : f16
// CHECK-NEXT:      %[[NARROW:.*]] = arith.truncf %[[B]] : f32 to f16
// CHECK-NEXT:      %[[TERM:.*]] = arith.subf %[[SQUARE]], %[[NARROW]] : f16
// CHECK-NEXT:      %[[WIDE:.*]] = arith.extf %[[TERM]] : f16 to f32
// CHECK-NEXT:      arith.addf %[[WIDE]], %[[S]] : f32
func.func @step(%g: tensor<64xf16>, %h: tensor<64xf32>, %acc: tensor<f16>) -> tensor<f16> {
  %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%g, %h : tensor<64xf16>, tensor<64xf32>) outs(%acc : tensor<f16>) {
  ^bb0(%a: f16, %b: f32, %s: f16):
    %q = arith.mulf %a, %a : f16
    %n = arith.truncf %b : f32 to f16
    %u = arith.subf %q, %n : f16
    %t = arith.addf %s, %u : f16
    linalg.yield %t : f16
  } -> tensor<f16>
  return %r : tensor<f16>
}
