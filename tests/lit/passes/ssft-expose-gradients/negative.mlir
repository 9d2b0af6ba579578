// RUN: ssft-opt %s --ssft-expose-gradients -split-input-file | filecheck %s

// A step that trains nothing has no gradients to show.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    -> (tensor<f32> {ssft.role = "loss"}) {
// CHECK:         return %{{.*}} : tensor<f32>
func.func @step(%x: tensor<f32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<f32> {ssft.role = "loss"}) {
  return %x : tensor<f32>
}

// -----

// An update that is no `ssft.update` says nothing about its gradient.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "gradient"
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}
