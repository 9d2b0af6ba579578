// RUN: ssft-opt %s -split-input-file='// ====' | filecheck %s
// RUN: not ssft-opt %s 2>&1 | filecheck %s --check-prefix=WHOLE

// CHECK:      func.func @same
// CHECK:      // ====
// CHECK:      func.func @same
// WHOLE:      error: redefinition of symbol named 'same'
// WHOLE:      note: see existing symbol definition here
func.func @same() { return }
// ====
func.func @same() { return }
