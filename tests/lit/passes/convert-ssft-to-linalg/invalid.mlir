// RUN: ssft-opt %s --convert-ssft-to-linalg -split-input-file -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @dynamic_dimensions(%x: tensor<?xf32>, %i: tensor<2xi64>) -> tensor<2xf32> {
  // expected-error@+1 {{'ssft.gather' op 'source' must have static dimensions, but has type tensor<?xf32>}}
  %r = "ssft.gather"(%x, %i) {dim = 0 : i64} : (tensor<?xf32>, tensor<2xi64>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// -----

func.func @overlapping_writes(%x: tensor<4xf32>, %s: tensor<2xf32>) -> tensor<4xf32> {
  %i = arith.constant dense<1> : tensor<2xi64>
  // expected-error@+1 {{'ssft.scatter' op 'indices'[1] is 1, and so is 'indices'[0]; indices must be distinct}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<4xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// The attributes that a call brings along belong to operations that would be gone.

// expected-error@+2 {{function '@step' calls functions that were outlined from it}}
// expected-note@+1 {{run ssft-inline-layers before}}
module {
  func.func @step(%x: tensor<4xf32>, %i: tensor<2xi64>) -> tensor<2xf32> {
    %a = call @repeated_0(%x, %i) {ssft.slots = [{ssft.permuted = ["2"]}]} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>
    return %a : tensor<2xf32>
  }
  func.func private @repeated_0(%x: tensor<4xf32>, %i: tensor<2xi64>) -> tensor<2xf32> attributes {ssft.outlined} {
    %r = "ssft.gather"(%x, %i) {dim = 0 : i64, ssft.slot = 0 : i64} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>
    return %r : tensor<2xf32>
  }
}
