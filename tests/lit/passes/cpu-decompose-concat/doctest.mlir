// RUN: ssft-opt %s --cpu-decompose-concat | filecheck %s

// RoPE's rotated halves are put side by side: each goes straight to its place.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[A:[a-z0-9]+]]: tensor<2x3xf32>, %[[B:[a-z0-9]+]]: tensor<2x4xf32>)
// CHECK-NEXT:    %[[E:.*]] = tensor.empty() : tensor<2x7xf32>
// CHECK-NEXT:    %[[X:.*]] = tensor.insert_slice %[[A]] into %[[E]][0, 0] [2, 3] [1, 1]
// CHECK-NEXT:    %[[Y:.*]] = tensor.insert_slice %[[B]] into %[[X]][0, 3] [2, 4] [1, 1]
// CHECK-NEXT:    return %[[Y]]
func.func @step(%a: tensor<2x3xf32>, %b: tensor<2x4xf32>) -> tensor<2x7xf32> {
  %c = tensor.concat dim(1) %a, %b : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<2x7xf32>
  return %c : tensor<2x7xf32>
}
