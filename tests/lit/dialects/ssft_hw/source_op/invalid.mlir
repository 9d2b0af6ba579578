// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @source_op_c1() {
  // expected-error@+1 {{'ssft_hw.source_op' op attribute 'number' is -1, expected at least 0}}
  "ssft_hw.source_op"() {number = -1 : i64, label = "mlp", kind = "matmul", phase = "forward", source = "model.py:3", macs = 8 : i64, masked_macs = 0 : i64} : () -> ()
  return
}

// -----

func.func @source_op_c1() {
  // expected-error@+1 {{'ssft_hw.source_op' op attribute 'macs' must be an i64 integer, but is 1.000000e+00 : f64}}
  "ssft_hw.source_op"() {number = 0 : i64, label = "mlp", kind = "matmul", phase = "forward", source = "model.py:3", macs = 1.0 : f64, masked_macs = 0 : i64} : () -> ()
  return
}

// -----

func.func @source_op_c2() {
  // expected-error@+1 {{'ssft_hw.source_op' op attribute 'source' must be a string, but is unit}}
  "ssft_hw.source_op"() {number = 0 : i64, label = "mlp", kind = "matmul", phase = "forward", source = unit, macs = 8 : i64, masked_macs = 0 : i64} : () -> ()
  return
}

// -----

func.func @source_op_c2() {
  // expected-error@+1 {{'ssft_hw.source_op' op attribute 'phase' is "loss", expected one of forward, input_gradient, weight_gradient, update}}
  "ssft_hw.source_op"() {number = 0 : i64, label = "mlp", kind = "matmul", phase = "loss", source = "model.py:3", macs = 8 : i64, masked_macs = 0 : i64} : () -> ()
  return
}

// -----

func.func @source_op_c3() {
  // expected-error@+1 {{'ssft_hw.source_op' op must stand in 'ssft_hw.program'}}
  "ssft_hw.source_op"() {number = 0 : i64, label = "mlp", kind = "matmul", phase = "forward", source = "model.py:3", macs = 8 : i64, masked_macs = 0 : i64} : () -> ()
  return
}
