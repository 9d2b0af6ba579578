// RUN: not ssft-opt %s --ssft-checkpoint=mode=some 2>&1 | filecheck %s
// CHECK: error: unknown mode 'some'
// CHECK: note: modes are none, layer, selective, auto
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w1: tensor<6x9xf32> {ssft.role = "frozen", ssft.name = "w1"},
    %v1: tensor<9x6xf32> {ssft.role = "frozen", ssft.name = "v1"},
    %w2: tensor<6x9xf32> {ssft.role = "frozen", ssft.name = "w2"},
    %v2: tensor<9x6xf32> {ssft.role = "frozen", ssft.name = "v2"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<9x6xf32> {ssft.role = "gradient", ssft.name = "w2"}, tensor<9x6xf32> {ssft.role = "gradient", ssft.name = "w1"}) {
  %narrow = arith.constant dense<0.0> : tensor<3x6xf32>
  %wide = arith.constant dense<0.0> : tensor<3x9xf32>
  %h1 = linalg.matmul ins(%x, %w1 : tensor<3x6xf32>, tensor<6x9xf32>) outs(%wide : tensor<3x9xf32>) -> tensor<3x9xf32>
  %y1 = linalg.matmul ins(%h1, %v1 : tensor<3x9xf32>, tensor<9x6xf32>) outs(%narrow : tensor<3x6xf32>) -> tensor<3x6xf32>
  %h2 = linalg.matmul ins(%y1, %w2 : tensor<3x6xf32>, tensor<6x9xf32>) outs(%wide : tensor<3x9xf32>) -> tensor<3x9xf32>
  %y2 = linalg.matmul ins(%h2, %v2 : tensor<3x9xf32>, tensor<9x6xf32>) outs(%narrow : tensor<3x6xf32>) -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%y2 : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g2 = "ssft.weight_grad"(%h2, %y1) : (tensor<3x9xf32>, tensor<3x6xf32>) -> tensor<9x6xf32>
  %g1 = "ssft.weight_grad"(%h1, %x) : (tensor<3x9xf32>, tensor<3x6xf32>) -> tensor<9x6xf32>
  return %loss, %g2, %g1 : tensor<f32>, tensor<9x6xf32>, tensor<9x6xf32>
}
