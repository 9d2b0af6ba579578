// RUN: ssft-opt %s --cpu-expand-math | filecheck %s

// exp becomes 2^n times a polynomial. The power of two is made by moving the integer n, which
// adding 1.5 * 2^23 has put into the low bits, to where a float keeps its exponent.

// CHECK-LABEL: func.func @exp
// CHECK-SAME:    %[[X:.*]]: f32
// CHECK-NOT:     math.exp
// CHECK:         %[[MAGIC:.*]] = arith.constant 0x4B400000 : f32
// CHECK:         %[[SHIFTED:.*]] = arith.addf %{{.*}}, %[[MAGIC]] : f32
// CHECK:         arith.bitcast %[[SHIFTED]] : f32 to i32
// CHECK:         arith.shli
// CHECK:         arith.cmpf olt, %[[X]]
// CHECK:         arith.cmpf ogt, %[[X]]
// CHECK:         %[[R:.*]] = arith.select
// CHECK-NEXT:    return %[[R]]
func.func @exp(%x: f32) -> f32 {
  %r = math.exp %x : f32
  return %r : f32
}
