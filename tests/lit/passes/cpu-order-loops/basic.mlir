// RUN: ssft-opt %s --cpu-order-loops | filecheck %s

// `linalg.index` goes on to name the same loop.
// CHECK-LABEL: func.func @positions
// CHECK:         ins(%{{.*}} : memref<8x16xi64, strided<[1, 8]>>)
// CHECK:         %[[ROW:.*]] = linalg.index 1 : index
// CHECK:         arith.index_cast %[[ROW]]
func.func @positions(%x: memref<8x16xi64, strided<[1, 8]>>, %out: memref<8x16xi64, strided<[1, 8]>>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<8x16xi64, strided<[1, 8]>>)
      outs(%out : memref<8x16xi64, strided<[1, 8]>>) {
  ^bb0(%a: i64, %s: i64):
    %row = linalg.index 0 : index
    %r = arith.index_cast %row : index to i64
    %t = arith.addi %r, %a : i64
    linalg.yield %t : i64
  }
  return
}
