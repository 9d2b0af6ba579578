// RUN: ssft-opt %s --cpu-split-loops | filecheck %s

// Both nests are split: the first at its outer loop, the second at the loop inside it. The caller
// says with %lo and %hi which iterations run.

// CHECK-LABEL: func.func @kernel
// CHECK-SAME:    %[[LO:[a-z0-9]+]]: index, %[[HI:[a-z0-9]+]]: index
// CHECK:         scf.for %{{.*}} = %[[LO]] to %[[HI]]
// CHECK:         scf.for %{{.*}} = %c0 to %c4
// CHECK-NEXT:      scf.for %{{.*}} = %[[LO]] to %[[HI]]
func.func @kernel(%x: memref<8xf32>, %lo: index, %hi: index) attributes {ssft.splits = array<i64: 0, 1>} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c8 step %c1 {
    memref.store %zero, %x[%i] : memref<8xf32>
  }
  scf.for %i = %c0 to %c4 step %c1 {
    scf.for %j = %c0 to %c8 step %c1 {
      memref.store %zero, %x[%j] : memref<8xf32>
    }
  }
  return
}
