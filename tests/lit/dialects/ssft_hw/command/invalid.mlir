// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @command_c1() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'accumulate' is 256, which does not fit 8 bits}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 256 : i64} : () -> ()
  return
}

// -----

func.func @command_c1() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'a' is -1, which does not fit 32 bits}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = -1 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
  return
}

// -----

func.func @command_c1() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'a' must be an i64 integer, but is 0 : i32}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i32, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
  return
}

// -----

func.func @command_c1() {
  // expected-error@+1 {{'ssft_hw.gemm' op requires attribute 'shape'}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
  return
}

// -----

func.func @command_c2() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'tag' is 65536, which does not fit 16 bits}}
  "ssft_hw.gemm"() {tag = 65536 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
  return
}

// -----

func.func @command_c2() {
  // expected-error@+1 {{'ssft_hw.gemm' op requires attribute 'tag'}}
  "ssft_hw.gemm"() {a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
  return
}

// -----

func.func @command_c2() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'wait' is 15, expected a semaphore from 0 to 14}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64, wait = 15 : i64} : () -> ()
  return
}

// -----

func.func @command_c2() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'post' is 16, which does not fit 4 bits}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64, post = 16 : i64} : () -> ()
  return
}

// -----

func.func @command_c2() {
  // expected-error@+1 {{'ssft_hw.gemm' op attribute 'wait_value' is 4294967296, which does not fit 32 bits}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64, wait_value = 4294967296 : i64} : () -> ()
  return
}

// -----

func.func @command_c3() {
  // expected-error@+1 {{'ssft_hw.gemm' op must stand in 'ssft_hw.queue'}}
  "ssft_hw.gemm"() {tag = 0 : i64, a = 0 : i64, b = 0 : i64, c = 0 : i64, shape = 0 : i64, index = 0 : i64, accumulate = 0 : i64} : () -> ()
  return
}
