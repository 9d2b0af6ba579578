// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @contraction_c1() {
  // expected-error@+1 {{'ssft_hw.contraction' op requires attribute 'number'}}
  "ssft_hw.contraction"() {dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c2() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'dims' must be an array of dictionaries, but is 3 : i64}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = 3 : i64, a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c2() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'dims' holds 3 : i64, not a dictionary}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [3 : i64], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c2() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'kind' is "z", expected one of batch, m, n, k}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "z", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c2() {
  // expected-error@+1 {{'ssft_hw.contraction' op requires attribute 'b'}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c3() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'b_dtype' is f16, expected one of i1, i8, i32, i64, bf16, f32, f64}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = f16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c3() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'b_dtype' must be a type, but is "f32"}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = "f32", c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c3() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'multiply' is "f64", expected one of bf16, f32}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "f64", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}

// -----

func.func @contraction_c4() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'lane_tile' has 1 numbers, expected 2}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4>} : () -> ()
  return
}

// -----

func.func @contraction_c4() {
  // expected-error@+1 {{'ssft_hw.contraction' op attribute 'indexed' must be an i64 integer, but is unit}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>, indexed = unit} : () -> ()
  return
}

// -----

func.func @contraction_c5() {
  // expected-error@+1 {{'ssft_hw.contraction' op must stand in 'ssft_hw.program'}}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [{kind = "m", extent = 4 : i64, a = 1 : i64, b = 0 : i64, c = 1 : i64}], a_dtype = bf16, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>} : () -> ()
  return
}
