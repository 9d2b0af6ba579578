// RUN: ssft-opt %s --ssft-expose-gradients -split-input-file -verify-diagnostics

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

// -----

func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}) {
  %twice = arith.addf %w, %w : tensor<4x6xf32>
  // expected-error@+1 {{the weight of this update is not a part of an argument}}
  %new = "ssft.update"(%twice, %g) ({
  ^bb0(%we: f32, %ge: f32):
    %wn = arith.subf %we, %ge : f32
    "ssft.yield"(%wn) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %new : tensor<4x6xf32>
}

// -----

// expected-error@+1 {{argument 0 of '@step' has no 'ssft.name'}}
module {
  func.func @step(%w: tensor<4xf32> {ssft.role = "trainable"}) {
    return
  }
}
