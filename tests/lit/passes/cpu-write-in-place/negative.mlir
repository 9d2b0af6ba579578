// RUN: ssft-opt %s --cpu-write-in-place -split-input-file | filecheck %s

// What is in place already stays as it is.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32>
// CHECK:         %[[NEW:.*]] = tensor.insert_slice %{{.*}} into %[[W]]
// CHECK-NEXT:    return %[[NEW]]
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "w"},
    %g: tensor<4xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %new = tensor.insert_slice %g into %w[2] [4] [1] : tensor<4xf32> into tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// An operation that reads its destination keeps it; its result is copied.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x4xf32> {{.*}}, %[[ACC:[a-z0-9]+]]: tensor<4x4xf32>
// CHECK:         %[[P:.*]] = linalg.matmul {{.*}} outs(%[[ACC]] :
// CHECK:         linalg.copy ins(%[[P]] : {{.*}} outs(%[[W]] :
func.func @step(
    %w: tensor<4x4xf32> {ssft.role = "trainable", ssft.name = "w"},
    %acc: tensor<4x4xf32> {ssft.role = "input", ssft.name = "acc"}
) -> (tensor<4x4xf32> {ssft.updates_arg = 0 : i64}) {
  %p = linalg.matmul ins(%w, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%acc : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %p : tensor<4x4xf32>
}
