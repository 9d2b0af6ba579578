// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @program_c1() {
  // expected-error@+1 {{'ssft_hw.program' op attribute 'machine' must be a string, but is 3 : i64}}
  "ssft_hw.program"() ({
  }) {machine = 3 : i64, precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c1() {
  // expected-error@+1 {{'ssft_hw.program' op attribute 'precision' is "f16", expected one of bf16, f32}}
  "ssft_hw.program"() ({
  }) {machine = "m", precision = "f16", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c2() {
  // expected-error@+1 {{'ssft_hw.program' op attribute 'spm_bytes' is -1, expected at least 0}}
  "ssft_hw.program"() ({
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = -1 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c2() {
  // expected-error@+1 {{'ssft_hw.program' op attribute 'dram_bytes' must be an i64 integer, but is 0 : i32}}
  "ssft_hw.program"() ({
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i32, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c2() {
  // expected-error@+1 {{'ssft_hw.program' op requires attribute 'spm_lower_bound'}}
  "ssft_hw.program"() ({
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c3() {
  // expected-error@+1 {{'ssft_hw.program' op region may not hold 'arith.constant'}}
  "ssft_hw.program"() ({
    %c = arith.constant 0 : i64
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

// -----

func.func @program_c3() {
  // expected-error@+1 {{'ssft_hw.program' op region's block has arguments}}
  "ssft_hw.program"() ({
  ^bb0(%x: i64):
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

// -----

func.func @program_c3() {
  // expected-error@+1 {{'ssft_hw.program' op region has 2 blocks, expected 1}}
  "ssft_hw.program"() ({
    cf.br ^bb1
  ^bb1:
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
    cf.br ^bb1
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c4() {
  // expected-error@+1 {{'ssft_hw.program' op has 'ssft_hw.slot' 0 where 1 is due}}
  "ssft_hw.program"() ({
    "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "weight", address = 0 : i64, bytes = 8 : i64, first = 0 : i64, last = 1 : i64, buffers = 1 : i64} : () -> ()
    "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "weight", address = 0 : i64, bytes = 8 : i64, first = 0 : i64, last = 1 : i64, buffers = 1 : i64} : () -> ()
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

// -----

func.func @program_c4() {
  // expected-error@+1 {{'ssft_hw.program' op has 'ssft_hw.arguments' 1 where 0 is due}}
  "ssft_hw.program"() ({
    "ssft_hw.arguments"() {number = 1 : i64, addresses = array<i64: 0, 64>} : () -> ()
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

// -----

func.func @program_c5() {
  // expected-error@+1 {{'ssft_hw.program' op has 0 queues of unit 'index', expected 1}}
  "ssft_hw.program"() ({
    "ssft_hw.queue"() ({
    }) {unit = "dma_in"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "dma_out"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "tensor"} : () -> ()
    "ssft_hw.queue"() ({
    }) {unit = "vector"} : () -> ()
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}

// -----

func.func @program_c5() {
  // expected-error@+1 {{'ssft_hw.program' op has 2 queues of unit 'tensor', expected 1}}
  "ssft_hw.program"() ({
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
    "ssft_hw.queue"() ({
    }) {unit = "tensor"} : () -> ()
  }) {machine = "m", precision = "f32", dram_bytes = 0 : i64, spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
  return
}
