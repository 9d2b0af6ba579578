// RUN: ssft-opt %s --linalg-generalize-named-ops "--cpu-fuse-rows=products=1 block-rows=24 block-columns=32 threads=2" --canonicalize --cse | filecheck %s
// RUN: ssft-opt %s --linalg-generalize-named-ops --cpu-fuse-rows=products=0 | filecheck %s --check-prefix=WHOLE
// RUN: ssft-opt %s --linalg-generalize-named-ops "--cpu-fuse-rows=products=1 threads=2" --mlir-pass-statistics -o /dev/null 2>&1 | filecheck %s --check-prefix=STATS

// Scores of 3 heads, of which each thread works on blocks of 22 rows (three of 64) with scratch of its
// own; a mask is looked at first, and leaves chunks of 32 columns to the products around the softmax.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: memref<3x64x4xf32>, %[[K:[a-z0-9]+]]: memref<3x64x4xf32>, %[[V:[a-z0-9]+]]: memref<3x64x4xf32>, %[[MASK:[a-z0-9]+]]: memref<64x64xf32>, %[[OUT:[a-z0-9]+]]: memref<3x64x4xf32>
// CHECK:         %[[SCRATCH:.*]] = memref.alloc() {alignment = 64 : i64} : memref<3520xf32>
// CHECK:         scf.for %[[PART:.*]] = %c0 to %c2 step %c1
// CHECK:           scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c1
// CHECK:             scf.for %{{.*}} = %c0 to %c22 step %c1
// CHECK:               %[[ROW:.*]] = memref.reinterpret_cast %[[MASK]]
// CHECK:               linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%{{.*}}, %[[ROW]] :
// CHECK:                 arith.cmpf oeq
// CHECK:                 arith.minsi
// CHECK:                 arith.maxsi
// CHECK:             scf.for %{{.*}} = %[[LOW:.*]] to %[[HIGH:.*]] step %c1
// CHECK:               memref.reinterpret_cast %[[Q]] to offset: [%{{.*}}], sizes: [22, 4], strides: [4, 1]
// CHECK:               memref.reinterpret_cast %[[K]] to offset: [%{{.*}}], sizes: [32, 4], strides: [4, 1]
// CHECK:               memref.reinterpret_cast %[[SCRATCH]] to offset: [%{{.*}}], sizes: [22, 32], strides: [80, 1]
// CHECK:             scf.for %{{.*}} = %c0 to %c22 step %c1
// CHECK:               memref.reinterpret_cast %[[SCRATCH]] to offset: [%{{.*}}], sizes: [%{{.*}}], strides: [1]
// CHECK:               math.exp
// CHECK:             %[[ROWS:.*]] = memref.reinterpret_cast %[[OUT]] to offset: [%{{.*}}], sizes: [22, 4], strides: [4, 1]
// CHECK:             linalg.generic {{.*}} outs(%[[ROWS]] :
// CHECK:             scf.for %{{.*}} = %[[LOW]] to %[[HIGH]] step %c1
// CHECK:               memref.reinterpret_cast %[[V]] to offset: [%{{.*}}], sizes: [32, 4], strides: [4, 1]
// CHECK:         } {ssft.independent = {{.*}}, ssft.products = 98304 : i64}

// The last block of each head has 20 rows; its loop is in the same part.
// CHECK-NOT:     ssft.products

// WHOLE-NOT:     ssft.products
// WHOLE:         memref.alloc() : memref<3x64x64xf32>

// STATS: 1 loops over blocks
#scores = affine_map<(h, i, j, c) -> (h, i, j)>
#queries = affine_map<(h, i, j, c) -> (h, i, c)>
#keys = affine_map<(h, i, j, c) -> (h, j, c)>
#id = affine_map<(h, i, j) -> (h, i, j)>
#row = affine_map<(h, i, j) -> (h, i)>
#shared = affine_map<(h, i, j) -> (i, j)>
func.func @step(%q: memref<3x64x4xf32>, %k: memref<3x64x4xf32>, %v: memref<3x64x4xf32>,
                %mask: memref<64x64xf32>, %out: memref<3x64x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %scores = memref.alloc() : memref<3x64x64xf32>
  linalg.fill ins(%zero : f32) outs(%scores : memref<3x64x64xf32>)
  linalg.generic {indexing_maps = [#queries, #keys, #scores],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k : memref<3x64x4xf32>, memref<3x64x4xf32>) outs(%scores : memref<3x64x64xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }
  %terms = memref.alloc() : memref<3x64x64xf32>
  linalg.generic {indexing_maps = [#id, #shared, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%scores, %mask : memref<3x64x64xf32>, memref<64x64xf32>) outs(%terms : memref<3x64x64xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    %t = arith.addf %a, %m : f32
    linalg.yield %t : f32
  }
  %weights = memref.alloc() : memref<3x64x64xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%terms : memref<3x64x64xf32>) outs(%weights : memref<3x64x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  }
  %sums = memref.alloc() : memref<3x64xf32>
  linalg.fill ins(%zero : f32) outs(%sums : memref<3x64xf32>)
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%weights : memref<3x64x64xf32>) outs(%sums : memref<3x64xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %t = arith.addf %a, %acc : f32
    linalg.yield %t : f32
  }
  %probabilities = memref.alloc() : memref<3x64x64xf32>
  linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%weights, %sums : memref<3x64x64xf32>, memref<3x64xf32>) outs(%probabilities : memref<3x64x64xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %t = arith.divf %a, %s : f32
    linalg.yield %t : f32
  }
  linalg.fill ins(%zero : f32) outs(%out : memref<3x64x4xf32>)
  linalg.generic {indexing_maps = [#scores, #keys, #queries],
      iterator_types = ["parallel", "parallel", "reduction", "parallel"]}
      ins(%probabilities, %v : memref<3x64x64xf32>, memref<3x64x4xf32>) outs(%out : memref<3x64x4xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }
  return
}
