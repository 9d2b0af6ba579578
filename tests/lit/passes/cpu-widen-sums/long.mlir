// RUN: ssft-opt %s --cpu-widen-sums -split-input-file | filecheck %s
// RUN: ssft-opt %s --cpu-widen-sums=long=4096 -split-input-file | filecheck %s --check-prefix=LONGER

// Two thousand tokens, one after the other, into the gradient of a norm's weight: in f64. A factor
// that is the same for a whole token does not make the terms of a sum lie next to each other.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<2048x32xf32>, %[[X:[a-z0-9]+]]: tensor<2048x32xf32>
// CHECK:         %[[START:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<32xf32>)
// CHECK:           arith.extf {{.*}} : f32 to f64
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]}
// CHECK-SAME:      outs(%[[START]] : tensor<32xf64>)
// CHECK:         ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[C:.*]]: f32, %[[S:.*]]: f64):
// CHECK-NEXT:      %[[XHAT:.*]] = arith.mulf %[[B]], %[[C]] : f32
// CHECK-NEXT:      %[[TERM:.*]] = arith.mulf %[[A]], %[[XHAT]] : f32
// CHECK-NEXT:      %[[WIDE:.*]] = arith.extf %[[TERM]] : f32 to f64
// CHECK-NEXT:      arith.addf %[[WIDE]], %[[S]] : f64
// CHECK:           arith.truncf {{.*}} : f64 to f32
// LONGER-LABEL: func.func @step
// LONGER-NOT:     f64
#tc = affine_map<(d0, d1) -> (d0, d1)>
#t = affine_map<(d0, d1) -> (d0)>
#c = affine_map<(d0, d1) -> (d1)>
func.func @step(%dy: tensor<2048x32xf32>, %x: tensor<2048x32xf32>, %scale: tensor<2048xf32>, %acc: tensor<32xf32>) -> tensor<32xf32> {
  %r = linalg.generic {indexing_maps = [#tc, #tc, #t, #c], iterator_types = ["reduction", "parallel"]}
      ins(%dy, %x, %scale : tensor<2048x32xf32>, tensor<2048x32xf32>, tensor<2048xf32>) outs(%acc : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %f: f32, %s: f32):
    %h = arith.mulf %b, %f : f32
    %p = arith.mulf %a, %h : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<32xf32>
  return %r : tensor<32xf32>
}

// -----

// Products element by element are no product of matrices: no other provider adds them up.
// CHECK-LABEL: func.func @step
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<32xf64>)
// CHECK:           arith.addf {{.*}} : f64
// LONGER-LABEL: func.func @step
// LONGER-NOT:     f64
#bsc = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#c = affine_map<(d0, d1, d2) -> (d2)>
func.func @step(%dy: tensor<4x2048x32xf32>, %x: tensor<4x2048x32xf32>, %acc: tensor<32xf32>) -> tensor<32xf32> {
  %r = linalg.generic {indexing_maps = [#bsc, #bsc, #c], iterator_types = ["reduction", "reduction", "parallel"]}
      ins(%dy, %x : tensor<4x2048x32xf32>, tensor<4x2048x32xf32>) outs(%acc : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<32xf32>
  return %r : tensor<32xf32>
}
