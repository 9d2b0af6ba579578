// RUN: ssft-opt %s --cpu-relax-reductions | filecheck %s

// Element-wise sums keep their order.
// CHECK-LABEL: func.func @elementwise
// CHECK-NOT:     reassoc
// CHECK:         arith.addf %{{.*}}, %{{.*}} fastmath<contract> : f32
// CHECK-NOT:     reassoc
func.func @elementwise(%x: memref<64xf32>, %out: memref<64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]} ins(%x : memref<64xf32>) outs(%out : memref<64xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  }
  return
}

// An accumulator that is read twice makes no plain sum.
// CHECK-LABEL: func.func @twice
// CHECK-NOT:     reassoc
// CHECK:         return
func.func @twice(%x: memref<64xf32>, %out: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%x : memref<64xf32>) outs(%out : memref<f32>) {
  ^bb0(%a: f32, %s: f32):
    %q = arith.mulf %a, %s : f32
    %t = arith.addf %s, %q : f32
    linalg.yield %t : f32
  }
  return
}
