// RUN: ssft-opt %s --cpu-tune-functions -verify-diagnostics

// The pass relies on what the verifiers check, so it must not be reached with such IR.

// expected-error@+1 {{'llvm.func' op external functions must have 'external' or 'extern_weak' linkage}}
llvm.func internal @kernel()
