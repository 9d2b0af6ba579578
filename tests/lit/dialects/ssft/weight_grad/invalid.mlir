// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @weight_grad_c1(%a: tensor<?x8xf32>, %b: tensor<4x3xf32>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'lhs' must have static dimensions, but has type tensor<?x8xf32>}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<?x8xf32>, tensor<4x3xf32>) -> tensor<8x3xf32>
  return
}

// -----

func.func @weight_grad_c1(%a: tensor<4x8xf32>, %b: tensor<3xf32>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'rhs' needs a token dimension, but is tensor<3xf32>}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<4x8xf32>, tensor<3xf32>) -> tensor<8x3xf32>
  return
}

// -----

func.func @weight_grad_c2(%a: tensor<2x4x8xf32>, %b: tensor<8x3xf32>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'lhs' has token dimensions [2, 4], but 'rhs' has [8]}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<2x4x8xf32>, tensor<8x3xf32>) -> tensor<8x3xf32>
  return
}

// -----

func.func @weight_grad_c3(%a: tensor<4x8xf32>, %b: tensor<4x3xf64>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'lhs' and 'rhs' must hold the same floating-point type, not f32 and f64}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<4x8xf32>, tensor<4x3xf64>) -> tensor<8x3xf64>
  return
}

// -----

func.func @weight_grad_c3(%a: tensor<4x8xi32>, %b: tensor<4x3xi32>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'lhs' and 'rhs' must hold the same floating-point type, not i32 and i32}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<4x8xi32>, tensor<4x3xi32>) -> tensor<8x3xi32>
  return
}

// -----

func.func @weight_grad_c4(%a: tensor<4x8xf32>, %b: tensor<4x3xf32>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'result' has dimensions [3, 8], expected [8, 3]}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<4x8xf32>, tensor<4x3xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @weight_grad_c5(%a: tensor<4x8xf32>, %b: tensor<4x3xf32>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'result' holds bf16, which is no wider than f32}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<4x8xf32>, tensor<4x3xf32>) -> tensor<8x3xbf16>
  return
}

// -----

func.func @weight_grad_c5(%a: tensor<4x8xbf16>, %b: tensor<4x3xbf16>) {
  // expected-error@+1 {{'ssft.weight_grad' op 'result' holds f16, which is no wider than bf16}}
  %r = "ssft.weight_grad"(%a, %b) : (tensor<4x8xbf16>, tensor<4x3xbf16>) -> tensor<8x3xf16>
  return
}
