// RUN: ssft-opt %s --cpu-decompose-concat -verify-diagnostics

func.func @dynamic(%a: tensor<2x?xf32>, %b: tensor<2x4xf32>) -> tensor<2x?xf32> {
  // expected-error@+1 {{'tensor.concat' must have static dimensions}}
  %c = tensor.concat dim(1) %a, %b : (tensor<2x?xf32>, tensor<2x4xf32>) -> tensor<2x?xf32>
  return %c : tensor<2x?xf32>
}
