// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @barrier_c1(%x: tensor<*xf32>) {
  // expected-error@+1 {{'ssft.barrier' op 'source' must be a ranked tensor, not tensor<*xf32>}}
  %r = "ssft.barrier"(%x) : (tensor<*xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @barrier_c2(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'ssft.barrier' op 'result' has type tensor<8x4xf32>, expected tensor<4x8xf32>}}
  %r = "ssft.barrier"(%x) : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return
}
