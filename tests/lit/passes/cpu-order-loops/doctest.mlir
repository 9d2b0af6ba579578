// RUN: ssft-opt %s --cpu-order-loops | filecheck %s

// The gradient of a bias sums over the tokens. As written, the inner loop jumps from row to row; now
// it runs along the rows.

// CHECK-DAG:   #[[X:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG:   #[[OUT:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @bias_gradient
// CHECK:         linalg.generic {indexing_maps = [#[[X]], #[[OUT]]], iterator_types = ["reduction", "parallel"]}
func.func @bias_gradient(%x: memref<512x256xf32>, %out: memref<256xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : memref<512x256xf32>) outs(%out : memref<256xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  }
  return
}
