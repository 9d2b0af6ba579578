// RUN: ssft-opt %s --ssft-expose-gradients | filecheck %s

// The gradient operand of the update becomes a result of its own, named after the parameter.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<4x6xf32> {ssft.name = "g"
// CHECK-SAME:    -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}, tensor<4x6xf32> {ssft.name = "fc.weight", ssft.role = "gradient"})
// CHECK:         %[[NEW:.*]]:2 = "ssft.update"
// CHECK:         return %[[NEW]]#0, %[[NEW]]#1, %[[G]]
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}
