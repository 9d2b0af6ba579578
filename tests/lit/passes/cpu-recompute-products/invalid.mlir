// RUN: ssft-opt %s --cpu-recompute-products=least=1 -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @step(%x: tensor<2x64x4xf32>, %y: tensor<2x4x64xf32>) {
  %zero = arith.constant dense<0.0> : tensor<2x64x64xf32>
  // expected-error@+1 {{'linalg.batch_matmul' op}}
  %z = linalg.batch_matmul ins(%x, %x : tensor<2x64x4xf32>, tensor<2x64x4xf32>) outs(%zero : tensor<2x64x64xf32>) -> tensor<2x64x64xf32>
  return
}
