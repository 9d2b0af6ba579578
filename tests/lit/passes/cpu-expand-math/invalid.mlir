// RUN: ssft-opt %s --cpu-expand-math -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @integers(%x: i32) -> i32 {
  // expected-error@+1 {{operand #0 must be floating-point-like}}
  %r = math.exp %x : i32
  return %r : i32
}
