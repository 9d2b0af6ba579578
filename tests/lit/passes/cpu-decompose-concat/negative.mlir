// RUN: ssft-opt %s --cpu-decompose-concat | filecheck %s

// Only concatenations are touched.
// CHECK-LABEL: func.func @step
// CHECK-NEXT:    tensor.insert_slice
// CHECK-NEXT:    return
func.func @step(%a: tensor<2x3xf32>, %b: tensor<2x7xf32>) -> tensor<2x7xf32> {
  %c = tensor.insert_slice %a into %b[0, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<2x7xf32>
  return %c : tensor<2x7xf32>
}
