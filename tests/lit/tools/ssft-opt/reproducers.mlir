// RUN: ssft-opt %s --cse --canonicalize=top-down=false --mlir-generate-reproducer=%t.1.mlir -o %t.out
// RUN: filecheck %s --check-prefix=TEXT --input-file %t.1.mlir
// RUN: ssft-opt --run-reproducer %t.1.mlir | filecheck %s
// RUN: not ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --canonicalize --test-fail --mlir-pass-pipeline-crash-reproducer=%t.2.mlir 2>&1 | filecheck %s --check-prefix=SAYS
// RUN: not ssft-opt --run-reproducer --load-pass-plugin=%S/Inputs/passes.py %t.2.mlir 2>&1 | filecheck %s --check-prefix=AGAIN
// RUN: ssft-opt %s --cse --mlir-pass-pipeline-crash-reproducer=%t.3.mlir -o %t.out
// RUN: not ssft-opt %t.3.mlir 2>&1 | filecheck %s --check-prefix=GONE
// RUN: not ssft-opt %s --run-reproducer 2>&1 | filecheck %s --check-prefix=NONE

// The IR is that before the first pass.
// TEXT: arith.constant
// TEXT: mlir_reproducer
// TEXT: pipeline: "builtin.module(cse,canonicalize{top-down=false})"
// TEXT: verify_each: true

// SAYS:  error: 'func.func' op is not wanted
// SAYS:  to reproduce: ssft-opt --run-reproducer {{.*}}.2.mlir
// AGAIN: reproducers.mlir:[[LINE:[0-9]+]]:1: error: 'func.func' op is not wanted
// GONE:  cannot open input file
// NONE:  holds no pipeline to run

// CHECK-LABEL: func.func @f
// CHECK-NEXT:    return
func.func @f() {
  %dead = arith.constant 1 : i32
  return
}
