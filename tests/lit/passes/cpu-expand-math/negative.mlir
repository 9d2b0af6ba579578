// RUN: ssft-opt %s --cpu-expand-math | filecheck %s

// Functions and types without an expansion of full accuracy are left to the C library.
// CHECK-LABEL: func.func @others
// CHECK-NEXT:    math.log
// CHECK-NEXT:    math.tanh
// CHECK-NEXT:    math.erf
// CHECK-NEXT:    math.exp
func.func @others(%x: f32, %y: f64, %z: bf16) -> (f32, f64, f64, bf16) {
  %a = math.log %x : f32
  %b = math.tanh %y : f64
  %c = math.erf %y : f64
  %d = math.exp %z : bf16
  return %a, %b, %c, %d : f32, f64, f64, bf16
}
