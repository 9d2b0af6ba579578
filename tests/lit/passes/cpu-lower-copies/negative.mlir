// RUN: ssft-opt %s --cpu-lower-copies | filecheck %s

// Loads and stores are no copies.
// CHECK-LABEL: func.func @move
// CHECK-NEXT:    memref.load
// CHECK-NEXT:    memref.store
// CHECK-NEXT:    return
func.func @move(%a: memref<f32>, %b: memref<f32>) {
  %x = memref.load %a[] : memref<f32>
  memref.store %x, %b[] : memref<f32>
  return
}
