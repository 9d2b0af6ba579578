// Parts are independent, an error in one does not stop the others, and lines are those of the file.
// RUN: not ssft-opt %s -split-input-file 2>&1 | filecheck %s
// RUN: not ssft-opt %s -split-input-file -o %t.mlir 2>&1 | filecheck %s --check-prefix=ERROR
// RUN: ssft-opt %t.mlir -split-input-file | filecheck %s --check-prefix=FILE

// CHECK-LABEL: func.func @first
// ERROR: split-input-file.mlir:17:10: error: use of undeclared SSA value name
// CHECK: // -----
// FILE: func.func @first
// FILE: // -----
// FILE: func.func @first
func.func @first() { return }

// -----

func.func @broken() -> i32 {
  return %nothing : i32
}

// -----

// CHECK-LABEL: func.func @first
func.func @first() { return }
