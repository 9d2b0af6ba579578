// RUN: ssft-opt %s --ssft-outline-layers -split-input-file -verify-diagnostics

// expected-error@+2 {{the module has no function '@step', so it is not a plan}}
// expected-note@+1 {{a plan is what 'ssftc model.py -o plan.mlir' writes}}
module {
  func.func @forward() {
    return
  }
}

// -----

// expected-error@+2 {{function '@step' calls functions that were outlined from it}}
// expected-note@+1 {{run ssft-inline-layers before}}
module {
  func.func @step() {
    call @repeated_0() : () -> ()
    return
  }
  func.func private @repeated_0() attributes {ssft.outlined} {
    return
  }
}
