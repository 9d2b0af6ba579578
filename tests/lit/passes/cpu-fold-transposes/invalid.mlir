// RUN: ssft-opt %s --cpu-fold-transposes -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @no_permutation(%a: tensor<3x5xf32>, %b: tensor<5x3xf32>) -> tensor<5x3xf32> {
  // expected-error@+1 {{permutation is not valid}}
  %t = linalg.transpose ins(%a : tensor<3x5xf32>) outs(%b : tensor<5x3xf32>) permutation = [1, 1]
  return %t : tensor<5x3xf32>
}
