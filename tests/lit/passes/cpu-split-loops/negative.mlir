// RUN: ssft-opt %s --cpu-split-loops | filecheck %s

// A function that is not marked keeps its bounds.
// CHECK-LABEL: func.func @kernel
// CHECK:         scf.for %{{.*}} = %c0 to %c8
func.func @kernel(%x: memref<8xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c8 step %c1 {
    memref.store %zero, %x[%i] : memref<8xf32>
  }
  return
}
