// RUN: ssft-opt %s --cpu-relax-reductions -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

func.func @other_type(%x: memref<8xf32>, %out: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%x : memref<8xf32>) outs(%out : memref<f32>) {
  ^bb0(%a: f32, %s: f32):
    %w = arith.extf %a : f32 to f64
    // expected-error@+1 {{type of yield operand 1 ('f64') doesn't match the element type of the enclosing linalg.generic op ('f32')}}
    linalg.yield %w : f64
  }
  return
}
