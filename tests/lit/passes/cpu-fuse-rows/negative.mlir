// RUN: ssft-opt %s -split-input-file --cpu-fuse-rows | filecheck %s

// A row of the sums over columns needs all rows of what is added up.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     scf.for
func.func @step(%x: memref<64x256xf32>, %sum: memref<256xf32>) {
  %wide = memref.alloc() : memref<64x256xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<64x256xf32>) outs(%wide : memref<64x256xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>],
      iterator_types = ["reduction", "parallel"]} ins(%wide : memref<64x256xf32>) outs(%sum : memref<256xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %a, %s : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// Row i of the second nest reads column i of the first one's result.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     scf.for
func.func @step(%x: memref<128x128xf32>, %y: memref<128x128xf32>) {
  %wide = memref.alloc() : memref<128x128xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<128x128xf32>) outs(%wide : memref<128x128xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>,
      affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%wide, %wide : memref<128x128xf32>, memref<128x128xf32>) outs(%y : memref<128x128xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.addf %a, %b : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// What the last nest reads was written by something between the two that needs the first one whole.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.independent
func.func @step(%x: memref<64x256xf32>, %y: memref<64x256xf32>) {
  %c0 = arith.constant 0 : index
  %c63 = arith.constant 63 : index
  %wide = memref.alloc() : memref<64x256xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<64x256xf32>) outs(%wide : memref<64x256xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  }
  %last = memref.load %wide[%c63, %c0] : memref<64x256xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>,
      affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%wide, %last : memref<64x256xf32>, f32) outs(%y : memref<64x256xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.addf %a, %b : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// Matrix products are for others.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     scf.for
func.func @step(%x: memref<64x256xf32>, %w: memref<256x64xf32>, %y: memref<64x64xf32>) {
  %wide = memref.alloc() : memref<64x256xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<64x256xf32>) outs(%wide : memref<64x256xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>,
      affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%wide, %w : memref<64x256xf32>, memref<256x64xf32>) outs(%y : memref<64x64xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  }
  return
}
