// RUN: ssft-opt %s --cpu-expand-contractions -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @step(%t: tensor<2x4x16x8xf32>) -> tensor<9x16x8xf32> {
  // expected-error@+1 {{'tensor.collapse_shape' op}}
  %m = tensor.collapse_shape %t [[0, 1], [2], [3]] : tensor<2x4x16x8xf32> into tensor<9x16x8xf32>
  return %m : tensor<9x16x8xf32>
}
