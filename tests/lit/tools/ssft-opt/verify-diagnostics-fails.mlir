// What is unexpected, missing or malformed fails the run.
// RUN: not ssft-opt %s -split-input-file -verify-diagnostics --load-pass-plugin=%S/Inputs/passes.py --test-count 2>&1 | filecheck %s
// RUN: not ssft-opt %s -split-input-file -verify-diagnostics=only-expected --load-pass-plugin=%S/Inputs/passes.py --test-count 2>&1 | filecheck %s --check-prefix=ONLY

// CHECK: verify-diagnostics-fails.mlir:18:1: error: unexpected remark: counted
// CHECK: verify-diagnostics-fails.mlir:22:1: error: unexpected remark: counted
// CHECK: verify-diagnostics-fails.mlir:22: error: expected remark "miscounted" was not produced
// CHECK: verify-diagnostics-fails.mlir:27:1: error: unexpected remark: counted
// CHECK: verify-diagnostics-fails.mlir:26: error: expected error "counted" was not produced
// CHECK: verify-diagnostics-fails.mlir:32:1: error: unexpected remark: counted
// CHECK: verify-diagnostics-fails.mlir:31: error: expected remark "counted" was not produced
// CHECK: verify-diagnostics-fails.mlir:36: malformed expectation: // {{exp}}

// ONLY-NOT: error: unexpected
// ONLY: verify-diagnostics-fails.mlir:22: error: expected remark "miscounted" was not produced
// ONLY-NOT: error: unexpected
// ONLY: verify-diagnostics-fails.mlir:26: error: expected error "counted" was not produced
func.func @nothing_expected() { return }

// -----

func.func @wrong_text() { return } // expected-remark {{miscounted}}

// -----

// expected-error@+1 {{counted}}
func.func @wrong_kind() { return }

// -----

// expected-remark@+2 {{counted}}
func.func @wrong_line() { return }

// -----

// expected-remark@+1 {counted}
func.func @malformed() { return }
