// RUN: ssft-opt %s --cpu-lower-copies -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @other_type(%a: memref<4xf32>, %b: memref<4xf64>) {
  // expected-error@+1 {{requires the same element type for all operands}}
  memref.copy %a, %b : memref<4xf32> to memref<4xf64>
  return
}
