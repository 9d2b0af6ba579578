// RUN: ssft-opt %s --cpu-relax-reductions | filecheck %s

// A product reduction, and one with two results of which only one is a sum.
// CHECK-LABEL: func.func @product
// CHECK:         arith.mulf %{{.*}}, %{{.*}} fastmath<{{.*}}reassoc{{.*}}>
func.func @product(%x: memref<64xf64>, %out: memref<f64>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%x : memref<64xf64>) outs(%out : memref<f64>) {
  ^bb0(%a: f64, %s: f64):
    %t = arith.mulf %s, %a : f64
    linalg.yield %t : f64
  }
  return
}

// CHECK-LABEL: func.func @sum_and_maximum
// CHECK:         arith.addf %{{.*}}, %{{.*}} fastmath<{{.*}}reassoc{{.*}}>
// CHECK:         arith.maximumf %{{.*}}, %{{.*}} : f32
func.func @sum_and_maximum(%x: memref<64xf32>, %sum: memref<f32>, %max: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> ()>],
      iterator_types = ["reduction"]} ins(%x : memref<64xf32>) outs(%sum, %max : memref<f32>, memref<f32>) {
  ^bb0(%a: f32, %s: f32, %m: f32):
    %t = arith.addf %s, %a : f32
    %u = arith.maximumf %m, %a : f32
    linalg.yield %t, %u : f32, f32
  }
  return
}
