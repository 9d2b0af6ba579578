// RUN: ssft-opt %s --pass-pipeline='builtin.module(func.func(convert-linalg-to-loops),cpu-split-loops)' | filecheck %s

// A sum over rows, split along the columns: threads add to different elements.
// CHECK-LABEL: func.func @kernel
// CHECK-SAME:    %[[LO:[a-z0-9]+]]: index, %[[HI:[a-z0-9]+]]: index
// CHECK:         scf.for %[[I:.*]] = %c0{{.*}} to %c512
// CHECK-NEXT:      scf.for %[[J:.*]] = %[[LO]] to %[[HI]]
// CHECK-NEXT:        memref.load %{{.*}}[%[[I]], %[[J]]]
func.func @kernel(%x: memref<512x256xf32>, %out: memref<256xf32>, %lo: index, %hi: index)
    attributes {ssft.splits = array<i64: 1>} {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>],
      iterator_types = ["reduction", "parallel"]} ins(%x : memref<512x256xf32>) outs(%out : memref<256xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  }
  return
}
