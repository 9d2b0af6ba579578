// RUN: ssft-opt %s --cpu-fuse-rows -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @step(%x: memref<64x256xf32>) {
  // expected-error@+1 {{'memref.collapse_shape' op}}
  %flat = memref.collapse_shape %x [[0], [1], [2]] : memref<64x256xf32> into memref<64x256xf32>
  return
}
