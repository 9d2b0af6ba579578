// RUN: ssft-opt %s --ssft-rematerialize | filecheck %s

// The weight gradient reads `p = exp(x)`. Keeping p from the forward pass costs 3x6 elements; x is
// there anyway, so p is computed again, after the loss. The attribute keeps `cse` from undoing that.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK:           math.exp
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         %[[P:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<3x6xf32>) {{.*}}ssft.recomputed
// CHECK:           math.exp
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[P]])
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = "ssft.weight_grad"(%dy, %p) : (tensor<3x4xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %loss, %g : tensor<f32>, tensor<4x6xf32>
}
