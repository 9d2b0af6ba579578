// RUN: ssft-opt %s --cpu-order-loops | filecheck %s

// CHECK-DAG:   #[[ROW_MAJOR:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG:   #[[AS_WRITTEN:.*]] = affine_map<(d0, d1) -> (d1, d0)>

// Nothing is gained here.
// CHECK-LABEL: func.func @row_major
// CHECK:         linalg.generic {indexing_maps = [#[[ROW_MAJOR]], #[[ROW_MAJOR]]]
func.func @row_major(%x: memref<8x16xf32>, %out: memref<8x16xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<8x16xf32>) outs(%out : memref<8x16xf32>) {
  ^bb0(%a: f32, %s: f32):
    linalg.yield %a : f32
  }
  return
}

// Strides that are not known say nothing.
// CHECK-LABEL: func.func @unknown
// CHECK:         linalg.generic {indexing_maps = [#[[AS_WRITTEN]], #[[AS_WRITTEN]]]
func.func @unknown(%x: memref<8x16xf32, strided<[?, ?]>>, %out: memref<8x16xf32, strided<[?, ?]>>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d1, d0)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : memref<8x16xf32, strided<[?, ?]>>)
      outs(%out : memref<8x16xf32, strided<[?, ?]>>) {
  ^bb0(%a: f32, %s: f32):
    linalg.yield %a : f32
  }
  return
}
