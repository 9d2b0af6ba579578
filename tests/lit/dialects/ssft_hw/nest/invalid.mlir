// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @nest_c1() {
  // expected-error@+1 {{'ssft_hw.nest' op attribute 'extents' must be an array<i64>, but is [8]}}
  "ssft_hw.nest"() ({
  }) {extents = [8 : i64], reduction = array<i1: false>, inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}], outputs = [], stored = array<i64>, origins = []} : () -> ()
  return
}

// -----

func.func @nest_c1() {
  // expected-error@+1 {{'ssft_hw.nest' op attribute 'reduction' must be an array<i1>, but is array<i64: 0>}}
  "ssft_hw.nest"() ({
  }) {extents = array<i64: 8>, reduction = array<i64: 0>, inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}], outputs = [], stored = array<i64>, origins = []} : () -> ()
  return
}

// -----

func.func @nest_c2() {
  // expected-error@+1 {{'ssft_hw.nest' op requires attribute 'slot'}}
  "ssft_hw.nest"() ({
  }) {extents = array<i64: 8>, reduction = array<i1: false>, inputs = [{offset = 0 : i64, strides = array<i64>}], outputs = [], stored = array<i64>, origins = []} : () -> ()
  return
}

// -----

func.func @nest_c2() {
  // expected-error@+1 {{'ssft_hw.nest' op attribute 'initial' must be an i64, ui64 or f64, but is 0.000000e+00 : f32}}
  "ssft_hw.nest"() ({
  }) {extents = array<i64: 8>, reduction = array<i1: false>, inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}], outputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64>, initial = 0.0 : f32}], stored = array<i64>, origins = []} : () -> ()
  return
}

// -----

func.func @nest_c3() {
  // expected-error@+1 {{'ssft_hw.nest' op attribute 'origins' holds array<i64: 1>, not an array<i64> of two numbers}}
  "ssft_hw.nest"() ({
  }) {extents = array<i64: 8>, reduction = array<i1: false>, inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}], outputs = [], stored = array<i64>, origins = [array<i64: 1>]} : () -> ()
  return
}

// -----

func.func @nest_c4() {
  // expected-error@+1 {{'ssft_hw.nest' op must stand in 'ssft_hw.micro_program'}}
  "ssft_hw.nest"() ({
  }) {extents = array<i64: 8>, reduction = array<i1: false>, inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}], outputs = [], stored = array<i64>, origins = []} : () -> ()
  return
}

// -----

func.func @nest_c5() {
  "ssft_hw.program"() ({
    "ssft_hw.micro_program"() ({
      // expected-error@+1 {{'ssft_hw.nest' op region may not hold 'arith.constant'}}
      "ssft_hw.nest"() ({
        %c = arith.constant 0 : i64
      }) {extents = array<i64: 8>, reduction = array<i1: false>, inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}], outputs = [], stored = array<i64>, origins = []} : () -> ()
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
