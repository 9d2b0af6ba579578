// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @queue_c1() {
  // expected-error@+1 {{'ssft_hw.queue' op attribute 'unit' is "gpu", expected one of dma_in, dma_out, tensor, vector, index}}
  "ssft_hw.queue"() ({
  }) {unit = "gpu"} : () -> ()
  return
}

// -----

func.func @queue_c1() {
  // expected-error@+1 {{'ssft_hw.queue' op attribute 'unit' must be a string, but is 3 : i64}}
  "ssft_hw.queue"() ({
  }) {unit = 3 : i64} : () -> ()
  return
}

// -----

func.func @queue_c2() {
  // expected-error@+1 {{'ssft_hw.queue' op must stand in 'ssft_hw.program'}}
  "ssft_hw.queue"() ({
  }) {unit = "tensor"} : () -> ()
  return
}

// -----

func.func @queue_c3() {
  "ssft_hw.program"() ({
    // expected-error@+1 {{'ssft_hw.queue' op region may not hold 'ssft_hw.gemm'}}
    "ssft_hw.queue"() ({
      "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
    }) {unit = "vector"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_in"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_out"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "tensor"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "index"} : () -> ()
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @queue_c3() {
  "ssft_hw.program"() ({
    // expected-error@+1 {{'ssft_hw.queue' op region may not hold 'arith.constant'}}
    "ssft_hw.queue"() ({
      %c = arith.constant 0 : i64
    }) {unit = "vector"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_in"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_out"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "tensor"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "index"} : () -> ()
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}
