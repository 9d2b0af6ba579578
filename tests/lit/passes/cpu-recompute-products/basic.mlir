// RUN: ssft-opt %s --cpu-recompute-products=least=32768 | filecheck %s --check-prefix=AGAIN
// RUN: ssft-opt %s --cpu-recompute-products=least=32769 | filecheck %s --check-prefix=KEPT
// RUN: ssft-opt %s --cpu-recompute-products=least=0 | filecheck %s --check-prefix=KEPT
// RUN: ssft-opt %s "--cpu-recompute-products=least=1 flops=2" | filecheck %s --check-prefix=AGAIN
// RUN: ssft-opt %s "--cpu-recompute-products=least=1 flops=1" | filecheck %s --check-prefix=KEPT
// RUN: ssft-opt %s --cpu-recompute-products=least=1 --mlir-pass-statistics -o /dev/null 2>&1 | filecheck %s --check-prefix=STATS

// 2 x 64 x 64 elements of 4 bytes, each the sum of 4 products: 2 operations per byte.

// AGAIN-COUNT-2: ssft.recomputed
// AGAIN-NOT:     ssft.recomputed

// KEPT-NOT: ssft.recomputed
// KEPT:     return

// STATS: 1 arrays recomputed
// STATS: 32768 bytes recomputed
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
