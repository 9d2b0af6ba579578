// RUN: ssft-opt %s --cpu-hoist-scratch | filecheck %s

// Also out of several loops, and in each function for itself.
// CHECK-LABEL: func.func @deep
// CHECK-NEXT:    memref.alloca() : memref<8xf32>
// CHECK-LABEL: func.func @other
// CHECK-NEXT:    memref.alloca() : memref<4xf32>
func.func @deep(%lo: index, %hi: index) {
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %lo to %hi step %c1 {
    scf.for %j = %lo to %hi step %c1 {
      %row = memref.alloca() : memref<8xf32>
      memref.store %zero, %row[%j] : memref<8xf32>
    }
  }
  return
}
func.func @other(%lo: index, %hi: index) {
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %lo to %hi step %c1 {
    %row = memref.alloca() : memref<4xf32>
    memref.store %zero, %row[%i] : memref<4xf32>
  }
  return
}
