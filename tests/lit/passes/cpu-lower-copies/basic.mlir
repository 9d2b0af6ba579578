// RUN: ssft-opt %s --pass-pipeline='builtin.module(cpu-lower-copies,func.func(convert-linalg-to-loops))' | filecheck %s

// Inside a loop, at an offset known only at run time: what is left are loads and stores.
// CHECK-LABEL: func.func @rows
// CHECK:         scf.for %[[I:.*]] =
// CHECK:           %[[ROW:.*]] = memref.subview %{{.*}}[%[[I]], 0]
// CHECK:           scf.for %[[J:.*]] =
// CHECK:             %[[X:.*]] = memref.load %{{.*}}[%[[J]]]
// CHECK:             memref.store %[[X]], %[[ROW]][%[[J]]]
func.func @rows(%a: memref<8xf32>, %b: memref<4x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %row = memref.subview %b[%i, 0] [1, 8] [1, 1] : memref<4x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    memref.copy %a, %row : memref<8xf32> to memref<8xf32, strided<[1], offset: ?>>
  }
  return
}
