// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @arguments_c1() {
  // expected-error@+1 {{'ssft_hw.arguments' op attribute 'number' must be an i64 integer, but is 0 : index}}
  "ssft_hw.arguments"() {number = 0 : index, addresses = array<i64: 0, 64>} : () -> ()
  return
}

// -----

func.func @arguments_c2() {
  // expected-error@+1 {{'ssft_hw.arguments' op attribute 'addresses' holds 4294967296, which does not fit 32 bits}}
  "ssft_hw.arguments"() {number = 0 : i64, addresses = array<i64: 4294967296>} : () -> ()
  return
}

// -----

func.func @arguments_c2() {
  // expected-error@+1 {{'ssft_hw.arguments' op attribute 'addresses' holds -1, which does not fit 32 bits}}
  "ssft_hw.arguments"() {number = 0 : i64, addresses = array<i64: -1>} : () -> ()
  return
}

// -----

func.func @arguments_c3() {
  // expected-error@+1 {{'ssft_hw.arguments' op must stand in 'ssft_hw.program'}}
  "ssft_hw.arguments"() {number = 0 : i64, addresses = array<i64: 0, 64>} : () -> ()
  return
}
