// RUN: ssft-opt %s --cpu-hoist-scratch | filecheck %s

// CHECK-LABEL: func.func @kernel
// CHECK-NEXT:    memref.alloca() {alignment = 64 : i64} : memref<64xf32>
// CHECK:         scf.for
// CHECK-NOT:       memref.alloca
func.func @kernel(%x: memref<64xf32>, %lo: index, %hi: index) {
  %c1 = arith.constant 1 : index
  scf.for %i = %lo to %hi step %c1 {
    %row = memref.alloca() {alignment = 64 : i64} : memref<64xf32>
    memref.copy %x, %row : memref<64xf32> to memref<64xf32>
    memref.copy %row, %x : memref<64xf32> to memref<64xf32>
  }
  return
}
