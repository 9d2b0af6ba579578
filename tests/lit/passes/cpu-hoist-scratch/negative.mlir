// RUN: ssft-opt %s --cpu-hoist-scratch | filecheck %s

// The size is known in the loop only.
// CHECK-LABEL: func.func @kernel
// CHECK:         scf.for %[[I:.*]] =
// CHECK-NEXT:      memref.alloca(%[[I]]) : memref<?xf32>
func.func @kernel(%x: memref<64xf32>, %lo: index, %hi: index) {
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %lo to %hi step %c1 {
    %row = memref.alloca(%i) : memref<?xf32>
    memref.store %zero, %row[%lo] : memref<?xf32>
  }
  return
}
