// RUN: ssft-opt %s --cpu-order-loops -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @one_map(%x: memref<8xf32>, %out: memref<8xf32>) {
  // expected-error@+1 {{expected the number of indexing_map (1) to be equal to the number of input/output operands (2)}}
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : memref<8xf32>) outs(%out : memref<8xf32>) {
  ^bb0(%a: f32, %s: f32):
    linalg.yield %a : f32
  }
  return
}
