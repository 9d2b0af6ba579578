// RUN: ssft-opt %s --ssft-measure --cse -split-input-file | filecheck %s

// A step that trains nothing has nothing to measure.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    -> (tensor<f32> {ssft.role = "loss"}) {
// CHECK:         return %{{.*}} : tensor<f32>
func.func @step(%x: tensor<f32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<f32> {ssft.role = "loss"}) {
  return %x : tensor<f32>
}

// -----

// A product by something frozen is not measured.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    -> (tensor<3x4xf32> {ssft.role = "loss"}) {
// CHECK:         linalg.contract
// CHECK-NOT:     linalg.generic
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<3x4xf32> {ssft.role = "loss"}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<3x4xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = linalg.contract indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<3x6xf32>, tensor<4x6xf32>) outs(%start : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}
