// RUN: ssft-opt %s --cpu-fuse-rows | filecheck %s
// RUN: ssft-opt %s --cpu-fuse-rows=scratch=64 | filecheck %s --check-prefix=SMALL

// The first nest counts 512 rows, the second 4 x 128 of them: one loop over all. The class that the
// second nest compares with is still that of the inner loop; the batch is an outer one and taken
// from the number of the row.

// CHECK-LABEL: func.func @step
// CHECK:         scf.for %[[I:.*]] = %c0{{.*}} to %c512
// CHECK:           memref.alloca() {alignment = 64 : i64} : memref<64xf32>
// CHECK:           arith.remui %[[I]], %c128
// CHECK:           %[[BATCH:.*]] = arith.divui %[[I]], %c128
// CHECK:           math.exp
// CHECK:           %[[CLASS:.*]] = linalg.index 0 : index
// CHECK:           arith.addi %[[CLASS]], %[[BATCH]]
// CHECK:         {ssft.independent = 65536 : i64}

// Too long a row for the scratch that is allowed: it stays where it is.
// SMALL-LABEL: func.func @step
// SMALL:         %[[WIDE:.*]] = memref.alloc() : memref<512x64xf32>
// SMALL-NOT:     memref.alloca
// SMALL:         memref.reinterpret_cast %[[WIDE]]
func.func @step(%x: memref<512x64xf32>, %y: memref<4x128x64xf32>) {
  %wide = memref.alloc() : memref<512x64xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<512x64xf32>) outs(%wide : memref<512x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  }
  %deep = memref.expand_shape %wide [[0, 1], [2]] output_shape [4, 128, 64]
      : memref<512x64xf32> into memref<4x128x64xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%deep : memref<4x128x64xf32>) outs(%y : memref<4x128x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %class = linalg.index 2 : index
    %batch = linalg.index 0 : index
    %sum = arith.addi %class, %batch : index
    %integer = arith.index_cast %sum : index to i64
    %number = arith.sitofp %integer : i64 to f32
    %t = arith.mulf %a, %number : f32
    linalg.yield %t : f32
  }
  return
}
