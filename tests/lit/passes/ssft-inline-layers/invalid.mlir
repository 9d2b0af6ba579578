// RUN: ssft-opt %s --ssft-inline-layers -split-input-file -verify-diagnostics

// expected-error@+2 {{function '@repeated_0' has 0 blocks}}
// expected-note@+1 {{what is outlined from a step is straight-line code: one block}}
module {
  func.func @step() {
    call @repeated_0() : () -> ()
    return
  }
  func.func private @repeated_0() attributes {ssft.outlined}
}

// -----

// expected-error@+2 {{function '@repeated_0' calls '@repeated_0'}}
// expected-note@+1 {{functions that are outlined from a step are called by the step alone}}
module {
  func.func @step() {
    call @repeated_0() : () -> ()
    return
  }
  func.func private @repeated_0() attributes {ssft.outlined} {
    call @repeated_0() : () -> ()
    return
  }
}

// -----

// expected-error@+1 {{a call of '@repeated_0' has 1 entries in 'ssft.slots', and the function asks for number 1}}
module {
  func.func @step(%x: f32) -> f32 {
    %a = call @repeated_0(%x) {ssft.slots = [{}]} : (f32) -> f32
    return %a : f32
  }
  func.func private @repeated_0(%x: f32) -> f32 attributes {ssft.outlined} {
    %r = arith.negf %x {ssft.slot = 1 : i64} : f32
    return %r : f32
  }
}

// -----

// expected-error@+2 {{the module has no function '@step', so it is not a plan}}
// expected-note@+1 {{a plan is what 'ssftc model.py -o plan.mlir' writes}}
module {
  func.func private @repeated_0() attributes {ssft.outlined} {
    return
  }
}
