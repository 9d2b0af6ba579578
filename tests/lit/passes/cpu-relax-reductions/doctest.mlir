// RUN: ssft-opt %s --cpu-relax-reductions | filecheck %s

// Only the sum may be taken in another order; the square keeps its meaning.

// CHECK-LABEL: func.func @sum_of_squares
// CHECK:         arith.mulf %{{.*}}, %{{.*}} fastmath<contract> : f32
// CHECK:         arith.addf %{{.*}}, %{{.*}} fastmath<{{.*}}reassoc{{.*}}> : f32
func.func @sum_of_squares(%x: memref<64xf32>, %out: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%x : memref<64xf32>) outs(%out : memref<f32>) {
  ^bb0(%a: f32, %s: f32):
    %q = arith.mulf %a, %a : f32
    %t = arith.addf %s, %q : f32
    linalg.yield %t : f32
  }
  return
}
