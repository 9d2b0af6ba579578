// RUN: ssft-opt %s --ssft-select-masks -split-input-file -verify-diagnostics
// RUN: not ssft-opt %s '--ssft-select-masks=method=s3ft' -split-input-file 2>&1 | filecheck %s --check-prefix=METHOD
// RUN: not ssft-opt %s '--ssft-select-masks=ratio=1.5' -split-input-file 2>&1 | filecheck %s --check-prefix=RATIO
// RUN: not ssft-opt %s '--ssft-select-masks=train=nowhere.*' -split-input-file 2>&1 | filecheck %s --check-prefix=PATTERN
// RUN: not ssft-opt %s '--ssft-select-masks=masks=w:rows=6-9' -split-input-file 2>&1 | filecheck %s --check-prefix=RANGE
// RUN: not ssft-opt %s '--ssft-select-masks=masks=b:columns=0' -split-input-file 2>&1 | filecheck %s --check-prefix=RANK
// RUN: not ssft-opt %s '--ssft-select-masks=masks=w:rows=all' -split-input-file 2>&1 | filecheck %s --check-prefix=SYNTAX

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

// What the options ask for must fit the parameters; each run has one mistake.
// METHOD:  error: recipe key 'method': unknown method 's3ft' (known: bias, block, columns, coupled, explicit
// METHOD:  note: the keys are method, ratio, seed, ratios, budget, importance
// RATIO:   error: recipe key 'ratio': input should be less than or equal to 1
// PATTERN: error: 'nowhere.*' in 'train' matches no trainable parameter
// PATTERN: note: trainable parameters: w, b
// RANGE:   error: mask of 'w': row 8 is out of range for shape 8x6
// RANGE:   note: rows go from 0 to 7
// RANK:    error: mask of 'b' has columns, but the parameter has 1 dimension(s)
// RANK:    note: mask its rows, or train it entirely
// SYNTAX:  error: mask 'w:rows=all': 'all' is no index or range
// SYNTAX:  note: write NAME[:rows=LIST][:columns=LIST][:union] with lists such as 0-3+9
func.func @step(
    %w: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "w"},
    %b: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"}
) -> (tensor<8x6xf32> {ssft.updates_arg = 0 : i64}, tensor<8xf32> {ssft.updates_arg = 1 : i64}) {
  return %w, %b : tensor<8x6xf32>, tensor<8xf32>
}
