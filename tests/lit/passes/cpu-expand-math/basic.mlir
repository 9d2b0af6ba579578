// RUN: ssft-opt %s --cpu-expand-math | filecheck %s

// CHECK-LABEL: func.func @double
// CHECK-NOT:     math.exp
// CHECK:         arith.bitcast %{{.*}} : f64 to i64
func.func @double(%x: f64) -> f64 {
  %r = math.exp %x : f64
  return %r : f64
}

// CHECK-LABEL: func.func @tanh
// CHECK-NOT:     math.tanh
// CHECK-NOT:     math.exp
// CHECK:         math.copysign
func.func @tanh(%x: f32) -> f32 {
  %r = math.tanh %x : f32
  return %r : f32
}

// CHECK-LABEL: func.func @erf
// CHECK-NOT:     math.erf
// CHECK-NOT:     math.exp
// CHECK:         math.copysign
func.func @erf(%x: f32) -> f32 {
  %r = math.erf %x : f32
  return %r : f32
}

// CHECK-LABEL: func.func @narrow
// CHECK:         %[[SINGLE:.*]] = arith.truncf %{{.*}} : f64 to f32
// CHECK:         arith.truncf %[[SINGLE]] : f32 to bf16
func.func @narrow(%x: f64) -> bf16 {
  %r = arith.truncf %x : f64 to bf16
  return %r : bf16
}
