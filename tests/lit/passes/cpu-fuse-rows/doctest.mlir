// RUN: ssft-opt %s --cpu-fuse-rows | filecheck %s

// A norm reads each row twice. The sum of a row goes to the next nest through one element of scratch.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:.*]]: memref<64x256xf32>, %[[Y:.*]]: memref<64x256xf32>
// CHECK:         scf.for %[[I:.*]] = %c0{{.*}} to %c64{{.*}} step %c1
// CHECK:           %[[SUM:.*]] = memref.alloca() {alignment = 64 : i64} : memref<1xf32>
// CHECK:           %[[ONE:.*]] = memref.reinterpret_cast %[[SUM]] to offset: [0], sizes: [], strides: []
// CHECK:           linalg.generic {{.*}} outs(%[[ONE]] : memref<f32, strided<[]>>)
// CHECK:           memref.reinterpret_cast %[[X]] to offset: [%{{.*}}], sizes: [256], strides: [1]
// CHECK:           iterator_types = ["reduction"]
// CHECK:           iterator_types = ["parallel"]
// CHECK:         } {ssft.independent = 32832 : i64}
// CHECK-NEXT:    return
func.func @step(%x: memref<64x256xf32>, %y: memref<64x256xf32>) {
  %zero = arith.constant 0.0 : f32
  %sum = memref.alloc() : memref<64xf32>
  linalg.generic {indexing_maps = [affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]} ins(%zero : f32) outs(%sum : memref<64xf32>) {
  ^bb0(%a: f32, %s: f32):
    linalg.yield %a : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : memref<64x256xf32>) outs(%sum : memref<64xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %a, %s : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>,
      affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : memref<64x256xf32>, memref<64xf32>) outs(%y : memref<64x256xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %t = arith.divf %a, %s : f32
    linalg.yield %t : f32
  }
  return
}
