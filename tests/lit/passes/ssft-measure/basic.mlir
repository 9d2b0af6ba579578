// RUN: ssft-opt %s --ssft-measure --cse -split-input-file | filecheck %s

// A vector has a gradient, but no channels.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    -> (tensor<f32> {ssft.role = "loss"}, tensor<8xf32> {ssft.name = "gradient/b", ssft.role = "metric"})
// CHECK:         return %{{.*}}, %{{.*}} : tensor<f32>, tensor<8xf32>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"},
    %x: tensor<f32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %new = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    %wn = arith.subf %we, %ge : f32
    "ssft.yield"(%wn) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %x, %new : tensor<f32>, tensor<8xf32>
}

// -----

// Of narrow elements the squares are summed in f32; a weight stored transposed has its input
// channels in its rows.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<6xf32> {ssft.name = "input/w", ssft.role = "metric"}
// CHECK-SAME:    tensor<4xf32> {ssft.name = "output/w", ssft.role = "metric"}
// CHECK:         linalg.generic {{.*}}["reduction", "parallel"]} ins(%{{.*}} : tensor<3x6xbf16>) outs(%{{.*}} : tensor<6xf32>)
// CHECK-NEXT:    ^bb0(%[[E:.*]]: bf16, %[[SUM:.*]]: f32):
// CHECK-NEXT:      %[[WIDE:.*]] = arith.extf %[[E]] : bf16 to f32
// CHECK-NEXT:      %[[SQUARE:.*]] = arith.mulf %[[WIDE]], %[[WIDE]] : f32
// CHECK-NEXT:      arith.addf %[[SUM]], %[[SQUARE]] : f32
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (i, o)>
#y = affine_map<(t, o, i) -> (t, o)>
func.func @step(
    %w: tensor<6x4xbf16> {ssft.role = "trainable", ssft.name = "w"},
    %x: tensor<3x6xbf16> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<6x4xbf16> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<3x4xbf16> {ssft.role = "loss"}, tensor<6x4xbf16> {ssft.updates_arg = 0 : i64}) {
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : tensor<3x4xbf16>
  %start = linalg.fill ins(%zero : bf16) outs(%empty : tensor<3x4xbf16>) -> tensor<3x4xbf16>
  %y = linalg.contract indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<3x6xbf16>, tensor<6x4xbf16>) outs(%start : tensor<3x4xbf16>) -> tensor<3x4xbf16>
  %new = "ssft.update"(%w, %g) ({
  ^bb0(%we: bf16, %ge: bf16):
    %wn = arith.subf %we, %ge : bf16
    "ssft.yield"(%wn) : (bf16) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<6x4xbf16>, tensor<6x4xbf16>) -> tensor<6x4xbf16>
  return %y, %new : tensor<3x4xbf16>, tensor<6x4xbf16>
}
