// RUN: ssft-opt %s --ssft-measure --cse | filecheck %s

// The step returns what the update's gradient is, and the squares of what the matrix meets.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32> {ssft.name = "x"
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<4x6xf32> {ssft.name = "g"
// CHECK-SAME:    -> (tensor<3x4xf32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.name = "gradient/fc.weight", ssft.role = "metric"}, tensor<4xf32> {ssft.name = "output/fc.weight", ssft.role = "metric"}, tensor<6xf32> {ssft.name = "input/fc.weight", ssft.role = "metric"})
// CHECK:         %[[Y:.*]] = linalg.contract
// CHECK:         %[[IN:.*]] = linalg.generic {{.*}}["reduction", "parallel"]} ins(%[[X]] : tensor<3x6xf32>)
// CHECK-NEXT:    ^bb0(%[[E:.*]]: f32, %[[SUM:.*]]: f32):
// CHECK-NEXT:      %[[SQUARE:.*]] = arith.mulf %[[E]], %[[E]]
// CHECK-NEXT:      arith.addf %[[SUM]], %[[SQUARE]]
// CHECK:         %[[OUT:.*]] = linalg.generic {{.*}}["reduction", "parallel"]} ins(%[[Y]] : tensor<3x4xf32>)
// CHECK-NOT:     ssft.update
// CHECK:         return %[[Y]], %[[G]], %[[OUT]], %[[IN]]
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<3x4xf32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<3x4xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = linalg.contract indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<3x6xf32>, tensor<4x6xf32>) outs(%start : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %y, %new#0, %new#1 : tensor<3x4xf32>, tensor<4x6xf32>, tensor<4x6xf32>
}
