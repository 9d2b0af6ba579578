// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-fold-transposes,canonicalize)' -split-input-file | filecheck %s

// A transposed result that somebody else reads untransposed is no extra product.
// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.matmul
// CHECK-NOT:     linalg.matmul
// CHECK:         %[[T:.*]] = linalg.transpose ins(%[[P]] :
// CHECK:         return %[[P]], %[[T]]
func.func @step(%a: tensor<3x5xf32>, %b: tensor<5x8xf32>) -> (tensor<3x8xf32>, tensor<8x3xf32>) {
  %zero = arith.constant 0.0 : f32
  %dest = tensor.empty() : tensor<3x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%dest : tensor<3x8xf32>) -> tensor<3x8xf32>
  %p = linalg.matmul ins(%a, %b : tensor<3x5xf32>, tensor<5x8xf32>) outs(%zeros : tensor<3x8xf32>) -> tensor<3x8xf32>
  %e = tensor.empty() : tensor<8x3xf32>
  %t = linalg.transpose ins(%p : tensor<3x8xf32>) outs(%e : tensor<8x3xf32>) permutation = [1, 0]
  return %p, %t : tensor<3x8xf32>, tensor<8x3xf32>
}

// -----

// An accumulator that is not alike everywhere would have to be transposed instead.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[ACC:[a-z0-9]+]]: tensor<3x8xf32>)
// CHECK:         %[[P:.*]] = linalg.matmul {{.*}} outs(%[[ACC]]
// CHECK:         %[[T:.*]] = linalg.transpose ins(%[[P]] :
// CHECK:         return %[[T]]
func.func @step(%a: tensor<3x5xf32>, %b: tensor<5x8xf32>, %acc: tensor<3x8xf32>) -> tensor<8x3xf32> {
  %p = linalg.matmul ins(%a, %b : tensor<3x5xf32>, tensor<5x8xf32>) outs(%acc : tensor<3x8xf32>) -> tensor<3x8xf32>
  %e = tensor.empty() : tensor<8x3xf32>
  %t = linalg.transpose ins(%p : tensor<3x8xf32>) outs(%e : tensor<8x3xf32>) permutation = [1, 0]
  return %t : tensor<8x3xf32>
}

// -----

// A transpose that moves the batch dimension is no transpose of matrices.
// CHECK-LABEL: func.func @step
// CHECK:         %[[T:.*]] = linalg.transpose {{.*}} permutation = [1, 0, 2]
// CHECK:         linalg.batch_matmul ins(%[[T]],
func.func @step(%a: tensor<3x2x5xf32>, %b: tensor<2x5x4xf32>, %dest: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %e = tensor.empty() : tensor<2x3x5xf32>
  %t = linalg.transpose ins(%a : tensor<3x2x5xf32>) outs(%e : tensor<2x3x5xf32>) permutation = [1, 0, 2]
  %y = linalg.batch_matmul ins(%t, %b : tensor<2x3x5xf32>, tensor<2x5x4xf32>) outs(%dest : tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// -----

// A transpose that is read elsewhere, too, is folded into the product and stays for the reader.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[A:[a-z0-9]+]]: tensor<5x3xf32>
// CHECK:         %[[T:.*]] = linalg.transpose ins(%[[A]] :
// CHECK:         %[[Y:.*]] = linalg.matmul indexing_maps = {{.*}} ins(%[[A]],
// CHECK:         return %[[Y]], %[[T]]
func.func @step(%a: tensor<5x3xf32>, %b: tensor<5x8xf32>, %dest: tensor<3x8xf32>) -> (tensor<3x8xf32>, tensor<3x5xf32>) {
  %e = tensor.empty() : tensor<3x5xf32>
  %t = linalg.transpose ins(%a : tensor<5x3xf32>) outs(%e : tensor<3x5xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%t, %b : tensor<3x5xf32>, tensor<5x8xf32>) outs(%dest : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y, %t : tensor<3x8xf32>, tensor<3x5xf32>
}

// -----

// Products outside @step are none of this pass's business.
// CHECK-LABEL: func.func @other
// CHECK:         linalg.transpose
// CHECK-LABEL: func.func @step
func.func @other(%a: tensor<5x3xf32>, %b: tensor<5x8xf32>, %dest: tensor<3x8xf32>) -> tensor<3x8xf32> {
  %e = tensor.empty() : tensor<3x5xf32>
  %t = linalg.transpose ins(%a : tensor<5x3xf32>) outs(%e : tensor<3x5xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%t, %b : tensor<3x5xf32>, tensor<5x8xf32>) outs(%dest : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}
func.func @step() {
  return
}
