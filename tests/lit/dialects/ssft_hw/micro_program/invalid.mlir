// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @micro_program_c1() {
  // expected-error@+1 {{'ssft_hw.micro_program' op attribute 'kind' must be a string, but is unit}}
  "ssft_hw.micro_program"() ({
  }) {number = 0 : i64, kind = unit, slots = [{dtype = f32, elements = 8 : i64, access = "in"}]} : () -> ()
  return
}

// -----

func.func @micro_program_c2() {
  // expected-error@+1 {{'ssft_hw.micro_program' op attribute 'dtype' is f16, expected one of i1, i8, i32, i64, bf16, f32, f64}}
  "ssft_hw.micro_program"() ({
  }) {number = 0 : i64, kind = "relu", slots = [{dtype = f16, elements = 8 : i64, access = "in"}]} : () -> ()
  return
}

// -----

func.func @micro_program_c2() {
  // expected-error@+1 {{'ssft_hw.micro_program' op requires attribute 'elements'}}
  "ssft_hw.micro_program"() ({
  }) {number = 0 : i64, kind = "relu", slots = [{dtype = f32, access = "in"}]} : () -> ()
  return
}

// -----

func.func @micro_program_c2() {
  // expected-error@+1 {{'ssft_hw.micro_program' op attribute 'access' is "read", expected one of in, out, inout, temporary}}
  "ssft_hw.micro_program"() ({
  }) {number = 0 : i64, kind = "relu", slots = [{dtype = f32, elements = 8 : i64, access = "read"}]} : () -> ()
  return
}

// -----

func.func @micro_program_c3() {
  // expected-error@+1 {{'ssft_hw.micro_program' op must stand in 'ssft_hw.program'}}
  "ssft_hw.micro_program"() ({
  }) {number = 0 : i64, kind = "relu", slots = [{dtype = f32, elements = 8 : i64, access = "in"}]} : () -> ()
  return
}

// -----

func.func @micro_program_c4() {
  "ssft_hw.program"() ({
    // expected-error@+1 {{'ssft_hw.micro_program' op region may not hold 'arith.constant'}}
    "ssft_hw.micro_program"() ({
      %c = arith.constant 0 : i64
    }) {number = 0 : i64, kind = "relu", slots = [{dtype = f32, elements = 8 : i64, access = "in"}]} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_in"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_out"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "tensor"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "vector"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "index"} : () -> ()
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}
