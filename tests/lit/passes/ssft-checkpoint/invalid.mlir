// RUN: ssft-opt %s --ssft-checkpoint -split-input-file -verify-diagnostics

// expected-error@+2 {{the module has no function '@step', so it is not a plan}}
// expected-note@+1 {{a plan is what 'ssftc model.py -o plan.mlir' writes}}
module {
  func.func @forward() {
    return
  }
}

// -----

// expected-error@+2 {{function '@step' has 0 blocks}}
// expected-note@+1 {{a step has a body, and the body is straight-line code: one block}}
module {
  func.func private @step()
}

// -----

// expected-error@+2 {{function '@step' has 2 blocks}}
// expected-note@+1 {{one block}}
module {
  func.func @step() {
    cf.br ^end
  ^end:
    return
  }
}
