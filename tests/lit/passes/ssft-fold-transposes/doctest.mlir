// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-fold-transposes,canonicalize)' | filecheck %s

// A linear layer is `x @ W.T`: torch transposes the weight, which is stored as [out, in]. The
// transpose becomes the indexing map of the product's second operand; nothing is copied.

// CHECK:       #[[X:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK:       #[[W:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK:       #[[Y:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[WEIGHT:[a-z0-9]+]]: tensor<8x6xf32>
// CHECK-SAME:    %[[INPUT:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.matmul indexing_maps = [#[[X]], #[[W]], #[[Y]]]
// CHECK-SAME:      ins(%[[INPUT]], %[[WEIGHT]] : tensor<3x6xf32>, tensor<8x6xf32>)
func.func @step(
    %weight: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<3x8xf32> {ssft.role = "metric"}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<6x8xf32>
  %transposed = linalg.transpose ins(%weight : tensor<8x6xf32>) outs(%empty : tensor<6x8xf32>) permutation = [1, 0]
  %dest = tensor.empty() : tensor<3x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%dest : tensor<3x8xf32>) -> tensor<3x8xf32>
  %y = linalg.matmul ins(%x, %transposed : tensor<3x6xf32>, tensor<6x8xf32>) outs(%zeros : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}
