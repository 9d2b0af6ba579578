// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @buffer_c1() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'address' is -1, expected at least 0}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = -1 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>} : () -> ()
  return
}

// -----

func.func @buffer_c2() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'purpose' is "x", expected one of weight, activation, checkpoint, gradient, optimizer, index, input, output}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "x", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>} : () -> ()
  return
}

// -----

func.func @buffer_c3() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'shape' must be an array<i64>, but is [2]}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = [2], order = array<i64: 0>} : () -> ()
  return
}

// -----

func.func @buffer_c4() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'result' must be an i64 integer, but is unit}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>, result = unit} : () -> ()
  return
}

// -----

func.func @buffer_c4() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'data' must be a dense tensor<nxi8>, but is "x"}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>, data = "x"} : () -> ()
  return
}

// -----

func.func @buffer_c4() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'data' must be a dense tensor<nxi8>, but is a tensor<2xi32>}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>, data = dense<1> : tensor<2xi32>} : () -> ()
  return
}

// -----

func.func @buffer_c4() {
  // expected-error@+1 {{'ssft_hw.buffer' op attribute 'data' must be a dense tensor<nxi8>, but is a tensor<1x2xi8>}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>, data = dense<1> : tensor<1x2xi8>} : () -> ()
  return
}

// -----

func.func @buffer_c5() {
  // expected-error@+1 {{'ssft_hw.buffer' op must stand in 'ssft_hw.program'}}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 0 : i64, bytes = 8 : i64, dtype = f32, shape = array<i64: 2>, order = array<i64: 0>} : () -> ()
  return
}
