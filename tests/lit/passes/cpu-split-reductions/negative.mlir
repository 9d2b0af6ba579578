// RUN: ssft-opt %s --cpu-split-reductions -split-input-file | filecheck %s
// RUN: ssft-opt %s --cpu-split-reductions=minimum=16 -split-input-file | filecheck %s --check-prefix=SMALL

// Few terms are summed up at once, unless the option says otherwise.
// CHECK-LABEL: func.func @step
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT:     linalg.generic
// SMALL-LABEL: func.func @step
// SMALL-COUNT-2: linalg.generic
#i = affine_map<(d0, d1) -> (d0, d1)>
#s = affine_map<(d0, d1) -> ()>
func.func @step(%g: tensor<4x8xf32>, %acc: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction", "reduction"]}
      ins(%g : tensor<4x8xf32>) outs(%acc : tensor<f32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

// A maximum is exact in any order.
// CHECK-LABEL: func.func @step
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT:     linalg.generic
// SMALL-LABEL: func.func @step
// SMALL-COUNT-1: linalg.generic
// SMALL-NOT:     linalg.generic
#i = affine_map<(d0, d1) -> (d0, d1)>
#s = affine_map<(d0, d1) -> ()>
func.func @step(%g: tensor<64x128xf32>, %acc: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [#i, #s], iterator_types = ["reduction", "reduction"]}
      ins(%g : tensor<64x128xf32>) outs(%acc : tensor<f32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.maximumf %s, %a : f32
    linalg.yield %t : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}
