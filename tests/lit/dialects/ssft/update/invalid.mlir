// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @update_c1(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op requires an array<i32> attribute 'operandSegmentSizes'}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c1(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op attribute 'operandSegmentSizes' is [1, 1, 0], expected one weight, any number of states and at least one gradient}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c1(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op attribute 'operandSegmentSizes' is [1, 1, 1], but there are 2 operands}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c2(%w: tensor<4xf32>, %g: tensor<3xf32>) {
  // expected-error@+1 {{'ssft.update' op operand 1 has dimensions [3], but the weight has [4]}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c2(%w: tensor<4xf32>, %g: f32) {
  // expected-error@+1 {{'ssft.update' op 'operand 1' must be a ranked tensor, not f32}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, f32) -> tensor<4xf32>
  return
}

// -----

func.func @update_c3(%w: tensor<4xf32>, %g: tensor<4xf32>, %h: tensor<4xf64>) {
  // expected-error@+1 {{'ssft.update' op 'gradients' must have one type, but (tensor<4xf32>, tensor<4xf64>) differ}}
  %r = "ssft.update"(%w, %g, %h) ({
  ^bb0(%we: f32, %ge: f32, %he: f64):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 2>} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c3(%w: tensor<4xf32>, %g: tensor<4xf32>, %h: tensor<4xf64>) {
  // expected-error@+1 {{'ssft.update' op 'states' must have one type, but (tensor<4xf32>, tensor<4xf64>) differ}}
  %r:3 = "ssft.update"(%w, %g, %h, %g) ({
  ^bb0(%we: f32, %ge: f32, %he: f64, %fe: f32):
    %y = arith.addf %we, %ge : f32
    "ssft.yield"(%y, %ge, %ge) : (f32, f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 2, 1>} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf64>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf64>)
  return
}

// -----

func.func @update_c4(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op has results of types (tensor<4xf64>), expected (tensor<4xf32>)}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf64>
  return
}

// -----

func.func @update_c4(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op has results of types (tensor<4xf32>, tensor<4xf32>), expected (tensor<4xf32>)}}
  %r:2 = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @update_c5(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block has arguments (f32), expected (f32, f32)}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c5(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block has arguments (f32, f64), expected (f32, f32)}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f64):
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c5(%w: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op region has 0 blocks, expected 1}}
  %r = "ssft.update"(%w, %w) ({}) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c6(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block must end in 'ssft.yield', not 'ub.unreachable'}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    ub.unreachable
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c6(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block yields (f32, f32), expected (f32)}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    "ssft.yield"(%we, %ge) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c6(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block yields (i1), expected (f32)}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    %c = arith.cmpf olt, %we, %ge : f32
    "ssft.yield"(%c) : (i1) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c7(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block may hold operations of arith and math only, not 'tensor.from_elements'}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    %t = tensor.from_elements %we : tensor<1xf32>
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @update_c8(%w: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{'ssft.update' op block uses a tensor<4xf32> from outside, expected a scalar}}
  %r = "ssft.update"(%w, %g) ({
  ^bb0(%we: f32, %ge: f32):
    %t = arith.addf %g, %g : tensor<4xf32>
    "ssft.yield"(%we) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}
