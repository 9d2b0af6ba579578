// RUN: not ssft-opt %s 2>&1 | filecheck %s --check-prefix=REFUSED
// RUN: ssft-opt %s --allow-unregistered-dialect --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --irdl-file=%S/Inputs/toy.irdl.mlir | filecheck %s
// RUN: not ssft-opt %s --irdl-file=%s 2>&1 | filecheck %s --check-prefix=NOT-IRDL
// RUN: not ssft-opt %s --irdl-file=%S/Inputs/toy.irdl.mlir --no-implicit-module 2>&1 | filecheck %s --check-prefix=NO-MODULE

// REFUSED: error: operation being parsed with an unregistered dialect
// NOT-IRDL: error: cannot load IRDL file '{{.*}}unknown-dialects.mlir'
// NO-MODULE: source must contain a single top-level operation, found: 2
// CHECK-LABEL: func.func @f
// CHECK:         "toy.wave"
func.func @f(%x: f32) -> f32 {
  %r = "toy.wave"(%x) : (f32) -> f32
  return %r : f32
}
func.func private @g()
