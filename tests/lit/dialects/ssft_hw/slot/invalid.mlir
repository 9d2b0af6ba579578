// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @slot_c1() {
  // expected-error@+1 {{'ssft_hw.slot' op requires attribute 'buffers'}}
  "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "weight", address = 0 : i64, bytes = 8 : i64, first = 0 : i64, last = 1 : i64} : () -> ()
  return
}

// -----

func.func @slot_c2() {
  // expected-error@+1 {{'ssft_hw.slot' op attribute 'label' must be a string, but is unit}}
  "ssft_hw.slot"() {number = 0 : i64, label = unit, purpose = "weight", address = 0 : i64, bytes = 8 : i64, first = 0 : i64, last = 1 : i64, buffers = 1 : i64} : () -> ()
  return
}

// -----

func.func @slot_c2_purpose() {
  // expected-error@+1 {{'ssft_hw.slot' op attribute 'purpose' is "x", expected one of weight, activation, checkpoint, gradient, optimizer, index, input, output}}
  "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "x", address = 0 : i64, bytes = 8 : i64, first = 0 : i64, last = 1 : i64, buffers = 1 : i64} : () -> ()
  return
}

// -----

func.func @slot_c3() {
  // expected-error@+1 {{'ssft_hw.slot' op must stand in 'ssft_hw.program'}}
  "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "weight", address = 0 : i64, bytes = 8 : i64, first = 0 : i64, last = 1 : i64, buffers = 1 : i64} : () -> ()
  return
}
