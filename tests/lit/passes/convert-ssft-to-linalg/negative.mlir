// RUN: ssft-opt %s --convert-ssft-to-linalg | filecheck %s

// Operations of other dialects stay as they are.
// CHECK-LABEL: func.func @leaves_other_dialects_alone
// CHECK-SAME:    (%[[X:.*]]: tensor<4x8xf32>)
// CHECK-NEXT:    %[[S:.*]] = tensor.extract_slice %[[X]][0, 3] [4, 2] [1, 1]
// CHECK-NEXT:    %[[E:.*]] = tensor.empty() : tensor<4x2xf32>
// CHECK-NEXT:    %[[R:.*]] = linalg.copy ins(%[[S]] : tensor<4x2xf32>) outs(%[[E]] : tensor<4x2xf32>)
// CHECK-NEXT:    return %[[R]]
func.func @leaves_other_dialects_alone(%x: tensor<4x8xf32>) -> tensor<4x2xf32> {
  %s = tensor.extract_slice %x[0, 3] [4, 2] [1, 1] : tensor<4x8xf32> to tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %r = linalg.copy ins(%s : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) -> tensor<4x2xf32>
  return %r : tensor<4x2xf32>
}

// Attributes of our dialect are not operations.
// CHECK-LABEL: func.func @keeps_attributes
// CHECK-SAME:    {ssft.role = "trainable"}
func.func @keeps_attributes(%x: tensor<4xf32> {ssft.role = "trainable"}) {
  return
}

// CHECK-NOT: "ssft.
