// RUN: ssft-opt %s --cpu-separate-destinations | filecheck %s

// An empty tensor from outside a loop is made inside it, next to its user.
// CHECK-LABEL: func.func @step
// CHECK:         scf.for
// CHECK:           %[[E:.*]] = tensor.empty() : tensor<8xf32>
// CHECK-NEXT:      linalg.exp ins(%{{.*}}) outs(%[[E]] :
func.func @step(%t: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %e = tensor.empty() : tensor<8xf32>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%dest = %t) -> tensor<4x8xf32> {
    %row = tensor.extract_slice %dest[%i, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<8xf32>
    %new = linalg.exp ins(%row : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    %put = tensor.insert_slice %new into %dest[%i, 0] [1, 8] [1, 1] : tensor<8xf32> into tensor<4x8xf32>
    scf.yield %put : tensor<4x8xf32>
  }
  return %r : tensor<4x8xf32>
}
