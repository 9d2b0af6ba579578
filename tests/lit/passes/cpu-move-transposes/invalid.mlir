// RUN: ssft-opt %s --cpu-move-transposes -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @step(%k: tensor<8x16xf32>, %e: tensor<16x8xf32>) -> tensor<16x8xf32> {
  // expected-error@+1 {{'linalg.transpose' op permutation is not valid}}
  %t = linalg.transpose ins(%k : tensor<8x16xf32>) outs(%e : tensor<16x8xf32>) permutation = [1, 1]
  return %t : tensor<16x8xf32>
}
