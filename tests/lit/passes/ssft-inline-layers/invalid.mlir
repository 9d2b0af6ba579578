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
// expected-note@+1 {{what is outlined from a step is called by the step alone, in its block}}
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

// -----

// expected-error@+2 {{function '@repeated_0' calls '@repeated_1'}}
// expected-note@+1 {{what is outlined from a step is called by the step alone, in its block}}
module {
  func.func @step(%c: i1) {
    call @repeated_0(%c) : (i1) -> ()
    return
  }
  func.func private @repeated_0(%c: i1) attributes {ssft.outlined} {
    scf.if %c {
      func.call @repeated_1() : () -> ()
    }
    return
  }
  func.func private @repeated_1() attributes {ssft.outlined} {
    return
  }
}

// -----

// expected-error@+2 {{'scf.if' in the step calls '@repeated_0'}}
// expected-note@+1 {{what is outlined from a step is called by the step alone, in its block}}
module {
  func.func @step(%c: i1) {
    scf.if %c {
      func.call @repeated_0() : () -> ()
    }
    return
  }
  func.func private @repeated_0() attributes {ssft.outlined} {
    return
  }
}

// -----

// expected-error@+1 {{function '@repeated_0' ends in 'ub.unreachable', not in 'func.return'}}
module {
  func.func @step() {
    call @repeated_0() : () -> ()
    return
  }
  func.func private @repeated_0() attributes {ssft.outlined} {
    ub.unreachable
  }
}

// -----

// expected-error@+1 {{'ssft.slots' of a call of '@repeated_0' holds no dictionary: "x"}}
module {
  func.func @step(%x: f32) -> f32 {
    %a = call @repeated_0(%x) {ssft.slots = "x"} : (f32) -> f32
    return %a : f32
  }
  func.func private @repeated_0(%x: f32) -> f32 attributes {ssft.outlined} {
    %r = arith.negf %x {ssft.slot = 0 : i64} : f32
    return %r : f32
  }
}

// -----

// expected-error@+2 {{'ssft.slots' of a call of '@repeated_0' names 'fastmath'}}
// expected-note@+1 {{what differs between calls are attributes 'ssft.…'}}
module {
  func.func @step(%x: f32) -> f32 {
    %a = call @repeated_0(%x) {ssft.slots = [{fastmath = 3 : i64}]} : (f32) -> f32
    return %a : f32
  }
  func.func private @repeated_0(%x: f32) -> f32 attributes {ssft.outlined} {
    %r = arith.negf %x {ssft.slot = 0 : i64} : f32
    return %r : f32
  }
}

// -----

// expected-error@+1 {{a call of '@repeated_0' has 2 entries in 'ssft.slots', and the function asks for 1}}
module {
  func.func @step(%x: f32) -> f32 {
    %a = call @repeated_0(%x) {ssft.slots = [{}, {}]} : (f32) -> f32
    return %a : f32
  }
  func.func private @repeated_0(%x: f32) -> f32 attributes {ssft.outlined} {
    %r = arith.negf %x {ssft.slot = 0 : i64} : f32
    return %r : f32
  }
}

// -----

// expected-error@+1 {{a call of '@repeated_0' has 1 entries in 'ssft.slots', and the function asks for number "a"}}
module {
  func.func @step(%x: f32) -> f32 {
    %a = call @repeated_0(%x) {ssft.slots = [{}]} : (f32) -> f32
    return %a : f32
  }
  func.func private @repeated_0(%x: f32) -> f32 attributes {ssft.outlined} {
    %r = arith.negf %x {ssft.slot = "a"} : f32
    return %r : f32
  }
}
