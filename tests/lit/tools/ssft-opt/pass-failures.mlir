// A pass that fails, forgets to fail, breaks the IR or has a bug: each is told apart and fails the run.
// RUN: not ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --cse --test-fail -o %t.never 2>&1 | filecheck %s --check-prefix=FAIL
// RUN: not ssft-opt %t.never 2>&1 | filecheck %s --check-prefix=NEVER
// RUN: not ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --test-emit --cse 2>&1 | filecheck %s --check-prefix=EMIT
// RUN: not ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --test-break --cse 2>&1 | filecheck %s --check-prefix=BREAK
// RUN: ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --test-break --verify-each=false --mlir-print-op-generic -o %t.bad 2>&1
// RUN: not ssft-opt %t.bad 2>&1 | filecheck %s --check-prefix=BREAK
// RUN: not ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --test-raise --mlir-pass-pipeline-crash-reproducer=%t.crash.mlir 2>&1 | filecheck %s --check-prefix=RAISE

// FAIL:      pass-failures.mlir:[[LINE:[0-9]+]]:1: error: 'func.func' op is not wanted
// FAIL-NEXT: func.func @f
// FAIL-NEXT: ^
// FAIL-NEXT: pass-failures.mlir:[[LINE]]:1: note: delete it
// FAIL-NOT:  Traceback
// NEVER:     error: cannot open input file
// EMIT:      error: emitted only
// BREAK:     error: 'func.func' op entry block must have 0 arguments to match function signature
// RAISE:     internal error while pass 'test-raise' was running: a bug
// RAISE:     ZeroDivisionError
// RAISE:     to reproduce: ssft-opt --run-reproducer {{.*}}.crash.mlir
func.func @f(%a: i32) {
  return
}
