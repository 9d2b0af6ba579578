// RUN: ssft-opt %s --ssft-save-slices | filecheck %s

// Only columns 2 and 3 of the activation are read after the loss. A view of them would keep all six
// alive until then; instead they are copied where the activation is computed, which can then die.

// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:           math.tanh
// CHECK:         %[[SAVED:.*]] = "ssft.save_slice"(%[[P]]) {dim = 1 : i64, offset = 2 : i64, size = 2 : i64}
// CHECK:         %[[LOSS:.*]] = linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK-NOT:     tensor.extract_slice
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[SAVED]])
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = tensor.extract_slice %p[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %g = "ssft.weight_grad"(%dy, %s) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  return %loss, %g : tensor<f32>, tensor<4x2xf32>
}
