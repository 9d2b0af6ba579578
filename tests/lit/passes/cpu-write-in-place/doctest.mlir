// RUN: ssft-opt %s --cpu-write-in-place | filecheck %s

// w' = w - g is computed into w itself. `bufferization.writable` allows that; whether it is safe is
// decided by bufferization's analysis, which keeps the input's memory untouched.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32> {bufferization.writable = true
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<8xf32> {bufferization.writable = false
// CHECK:         %[[NEW:.*]] = linalg.sub ins(%[[W]], %[[G]] :
// CHECK:         %[[DONE:.*]] = linalg.copy ins(%[[NEW]] : tensor<8xf32>) outs(%[[W]] :
// CHECK:         return %[[DONE]]
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "w"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.sub ins(%w, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  return %new : tensor<8xf32>
}
