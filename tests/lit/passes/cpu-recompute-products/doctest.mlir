// RUN: ssft-opt %s --cpu-recompute-products=least=1 --cse | filecheck %s

// The weights are eight times as large as what the product that they come from reads. What it reads is
// kept from being merged with the original by a barrier.

// CHECK-LABEL: func.func @step
// CHECK:         linalg.batch_matmul ins
// CHECK:         math.exp
// CHECK:         linalg.batch_matmul ins
// CHECK:         iterator_types = ["reduction", "reduction", "reduction"]
// CHECK:         %[[Q:.*]] = "ssft.barrier"(
// CHECK:         %[[AGAIN:.*]] = linalg.batch_matmul {ssft.recomputed = "checkpoint"} ins(%[[Q]],
// CHECK:         %[[WEIGHTS:.*]] = linalg.generic {{.*}} ins(%[[AGAIN]] :
// CHECK:         linalg.batch_matmul ins(%[[WEIGHTS]],
#id = affine_map<(h, i, j) -> (h, i, j)>
#scalar = affine_map<(h, i, j) -> ()>
func.func @step(
    %q: tensor<2x64x4xf32> {ssft.role = "input", ssft.name = "q"},
    %k: tensor<2x4x64xf32> {ssft.role = "frozen", ssft.name = "k"},
    %v: tensor<2x64x4xf32> {ssft.role = "frozen", ssft.name = "v"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x64x4xf32> {ssft.role = "gradient", ssft.name = "v"}) {
  %wide = arith.constant dense<0.0> : tensor<2x64x64xf32>
  %narrow = arith.constant dense<0.0> : tensor<2x64x4xf32>
  %scores = linalg.batch_matmul ins(%q, %k : tensor<2x64x4xf32>, tensor<2x4x64xf32>) outs(%wide : tensor<2x64x64xf32>) -> tensor<2x64x64xf32>
  %weights = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%scores : tensor<2x64x64xf32>) outs(%wide : tensor<2x64x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  } -> tensor<2x64x64xf32>
  %out = linalg.batch_matmul ins(%weights, %v : tensor<2x64x64xf32>, tensor<2x64x4xf32>) outs(%narrow : tensor<2x64x4xf32>) -> tensor<2x64x4xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction", "reduction"]}
      ins(%out : tensor<2x64x4xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = linalg.batch_matmul ins(%weights, %q : tensor<2x64x64xf32>, tensor<2x64x4xf32>) outs(%narrow : tensor<2x64x4xf32>) -> tensor<2x64x4xf32>
  return %loss, %g : tensor<f32>, tensor<2x64x4xf32>
}
