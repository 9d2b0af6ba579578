// RUN: ssft-opt %s --cpu-recompute-products=least=1 | filecheck %s

// The product makes no more than half of what it reads: that is kept.

// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.recomputed
// CHECK:         return
#id = affine_map<(h, i, j) -> (h, i, j)>
#scalar = affine_map<(h, i, j) -> ()>
func.func @step(
    %q: tensor<2x8x8xf32> {ssft.role = "input", ssft.name = "q"},
    %k: tensor<2x8x8xf32> {ssft.role = "frozen", ssft.name = "k"},
    %v: tensor<2x8x8xf32> {ssft.role = "frozen", ssft.name = "v"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x8x8xf32> {ssft.role = "gradient", ssft.name = "v"}) {
  %wide = arith.constant dense<0.0> : tensor<2x8x8xf32>
  %narrow = arith.constant dense<0.0> : tensor<2x8x8xf32>
  %scores = linalg.batch_matmul ins(%q, %k : tensor<2x8x8xf32>, tensor<2x8x8xf32>) outs(%wide : tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %weights = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%scores : tensor<2x8x8xf32>) outs(%wide : tensor<2x8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  } -> tensor<2x8x8xf32>
  %out = linalg.batch_matmul ins(%weights, %v : tensor<2x8x8xf32>, tensor<2x8x8xf32>) outs(%narrow : tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction", "reduction"]}
      ins(%out : tensor<2x8x8xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = linalg.batch_matmul ins(%weights, %q : tensor<2x8x8xf32>, tensor<2x8x8xf32>) outs(%narrow : tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  return %loss, %g : tensor<f32>, tensor<2x8x8xf32>
}
