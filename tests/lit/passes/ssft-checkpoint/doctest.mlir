// RUN: ssft-opt %s --ssft-checkpoint | filecheck %s

// Two layers, each a wide product and a narrow one. Only y1, which crosses from one to the other, is
// kept; the wide h2 and h1 are computed again, each right before the weight gradient that reads it.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK-SAME:    %[[W1:[a-z0-9]+]]: tensor<6x9xf32>
// CHECK:         linalg.matmul ins(%[[X]], %[[W1]]
// CHECK:         %[[Y1:.*]] = linalg.matmul
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         %[[B2:.*]] = "ssft.barrier"(%[[Y1]])
// CHECK:         %[[H2:.*]] = linalg.matmul {ssft.recomputed = "checkpoint"} ins(%[[B2]],
// CHECK-NEXT:    "ssft.weight_grad"(%[[H2]], %[[Y1]])
// CHECK:         %[[B1:.*]] = "ssft.barrier"(%[[X]])
// CHECK:         %[[H1:.*]] = linalg.matmul {ssft.recomputed = "checkpoint"} ins(%[[B1]], %[[W1]]
// CHECK-NEXT:    "ssft.weight_grad"(%[[H1]], %[[X]])
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
