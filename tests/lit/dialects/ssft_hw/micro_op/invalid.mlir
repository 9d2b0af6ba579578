// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @micro_op_c1() {
  // expected-error@+1 {{'ssft_hw.micro_op' op attribute 'function' must be a string, but is unit}}
  "ssft_hw.micro_op"() {function = unit, registers = array<i64: 0, 1>, dtype = f32} : () -> ()
  return
}

// -----

func.func @micro_op_c1() {
  // expected-error@+1 {{'ssft_hw.micro_op' op attribute 'registers' holds -1}}
  "ssft_hw.micro_op"() {function = "addf", registers = array<i64: 0, -1>, dtype = f32} : () -> ()
  return
}

// -----

func.func @micro_op_c2() {
  // expected-error@+1 {{'ssft_hw.micro_op' op attribute 'dtype' is index, expected one of i1, i8, i32, i64, bf16, f32, f64}}
  "ssft_hw.micro_op"() {function = "addf", registers = array<i64: 0, 1>, dtype = index} : () -> ()
  return
}

// -----

func.func @micro_op_c3() {
  // expected-error@+1 {{'ssft_hw.micro_op' op attribute 'immediate' must be an i64, ui64 or f64, but is 1.000000e+00 : f32}}
  "ssft_hw.micro_op"() {function = "addf", registers = array<i64: 0, 1>, dtype = f32, immediate = 1.0 : f32} : () -> ()
  return
}

// -----

func.func @micro_op_c3() {
  // expected-error@+1 {{'ssft_hw.micro_op' op attribute 'immediate' must be an i64, ui64 or f64, but is f32}}
  "ssft_hw.micro_op"() {function = "addf", registers = array<i64: 0, 1>, dtype = f32, immediate = f32} : () -> ()
  return
}

// -----

func.func @micro_op_c4() {
  // expected-error@+1 {{'ssft_hw.micro_op' op must stand in 'ssft_hw.nest'}}
  "ssft_hw.micro_op"() {function = "addf", registers = array<i64: 0, 1>, dtype = f32} : () -> ()
  return
}
