// RUN: ssft-opt %s --cpu-widen-sums -split-input-file | filecheck %s

// Products of matrices are summed in f32 by whatever multiplies.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     f32
func.func @step(%a: tensor<8x16xbf16>, %b: tensor<16x4xbf16>, %acc: tensor<8x4xbf16>) -> tensor<8x4xbf16> {
  %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
      affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<8x16xbf16>, tensor<16x4xbf16>) outs(%acc : tensor<8x4xbf16>) {
  ^bb0(%x: bf16, %y: bf16, %s: bf16):
    %p = arith.mulf %x, %y : bf16
    %t = arith.addf %s, %p : bf16
    linalg.yield %t : bf16
  } -> tensor<8x4xbf16>
  return %r : tensor<8x4xbf16>
}

// -----

// A maximum is exact in any type.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     f32
func.func @step(%g: tensor<64xbf16>, %acc: tensor<bf16>) -> tensor<bf16> {
  %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%g : tensor<64xbf16>) outs(%acc : tensor<bf16>) {
  ^bb0(%a: bf16, %s: bf16):
    %t = arith.maximumf %s, %a : bf16
    linalg.yield %t : bf16
  } -> tensor<bf16>
  return %r : tensor<bf16>
}

// -----

// Short sums in single precision stay as they are.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     arith.extf
func.func @step(%g: tensor<64xf32>, %acc: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%g : tensor<64xf32>) outs(%acc : tensor<f32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

// So do those that vector registers, or threads, cut into many: a softmax's, and a norm's.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     arith.extf
func.func @step(%x: tensor<16x30522xf32>, %g: tensor<4096x512xf32>, %rows: tensor<16xf32>, %all: tensor<f32>)
    -> (tensor<16xf32>, tensor<f32>) {
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<16x30522xf32>) outs(%rows : tensor<16xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  } -> tensor<16xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>],
      iterator_types = ["reduction", "reduction"]} ins(%g : tensor<4096x512xf32>) outs(%all : tensor<f32>) {
  ^bb0(%a: f32, %s: f32):
    %q = arith.mulf %a, %a : f32
    %t = arith.addf %s, %q : f32
    linalg.yield %t : f32
  } -> tensor<f32>
  return %r, %n : tensor<16xf32>, tensor<f32>
}

// -----

// And double precision.
// CHECK-LABEL: func.func @step
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT:     linalg.generic
func.func @step(%dy: tensor<65536x8xf64>, %acc: tensor<8xf64>) -> tensor<8xf64> {
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>],
      iterator_types = ["reduction", "parallel"]} ins(%dy : tensor<65536x8xf64>) outs(%acc : tensor<8xf64>) {
  ^bb0(%a: f64, %s: f64):
    %t = arith.addf %s, %a : f64
    linalg.yield %t : f64
  } -> tensor<8xf64>
  return %r : tensor<8xf64>
}
