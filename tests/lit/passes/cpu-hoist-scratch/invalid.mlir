// RUN: ssft-opt %s --cpu-hoist-scratch -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @kernel() {
  // expected-error@+1 {{'memref.alloca' op incorrect number of dynamic sizes, has 0, expected 1}}
  %row = memref.alloca() : memref<?xf32>
  return
}
