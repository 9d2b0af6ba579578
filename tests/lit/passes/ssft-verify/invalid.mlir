// RUN: ssft-opt %s --ssft-verify -split-input-file -verify-diagnostics

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

// (V1) a role
// expected-error@+1 {{(V1) argument 0 of '@step' has the role 'wheight', not one of frozen, hyper, index, input, seed, state, step, trainable}}
func.func @step(%w: tensor<4xf32> {ssft.role = "wheight", ssft.name = "w"}) {
  return
}

// -----

// (V1) an updated argument and its update have the same type
// expected-error@+1 {{(V1) result 0 of '@step' updates argument 0, which has another type}}
func.func @step(
    %w: tensor<4xf32> {ssft.role = "trainable", ssft.name = "w"},
    %v: tensor<4xf64> {ssft.role = "input", ssft.name = "v"}
) -> (tensor<4xf64> {ssft.updates_arg = 0 : i64}) {
  return %v : tensor<4xf64>
}

// -----

// (V2)
// expected-error@+1 {{(V2) result 0 updates argument 0 'w', whose role is 'frozen'}}
func.func @step(
    %w: tensor<4xf32> {ssft.role = "frozen", ssft.name = "w"},
    %v: tensor<4xf32> {ssft.role = "input", ssft.name = "v"}
) -> (tensor<4xf32> {ssft.updates_arg = 0 : i64}) {
  return %v : tensor<4xf32>
}

// -----

// (V2)
// expected-error@+1 {{(V2) result 0 updates argument 0 'w', whose role is 'input'}}
func.func @step(
    %w: tensor<4xf32> {ssft.role = "input", ssft.name = "w"},
    %v: tensor<4xf32> {ssft.role = "input", ssft.name = "v"}
) -> (tensor<4xf32> {ssft.updates_arg = 0 : i64}) {
  return %v : tensor<4xf32>
}

// -----

// (V2)
// expected-error@+1 {{(V2) result 0 updates argument 0 'w', whose role is 'hyper'}}
func.func @step(
    %w: tensor<4xf32> {ssft.role = "hyper", ssft.name = "w"},
    %v: tensor<4xf32> {ssft.role = "input", ssft.name = "v"}
) -> (tensor<4xf32> {ssft.updates_arg = 0 : i64}) {
  return %v : tensor<4xf32>
}

// -----

// (V3)
// expected-error@+1 {{(V3) state 'exp_avg' of 'w', which does not train}}
func.func @step(%m: tensor<4xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg"}) {
  return
}

// -----

// (V4)
// expected-error@+1 {{(V4) state 'exp_avg' of 'w' has shapes 4x6, but its mask has tiles of 1x6}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {rows = array<i64: 1>, combine = "intersection"}},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg"}
) {
  return
}

// -----

// (V4)
// expected-error@+1 {{(V4) state 'exp_avg' of 'w' has shapes 1x6, but its mask has tiles of 1x6, 3x1}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {rows = array<i64: 1>, columns = array<i64: 2>, combine = "union"}},
    %m: tensor<1x6xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg", ssft.tile = {rows = array<i64: 1>}}
) {
  return
}

// -----

// (V4)
// expected-error@+1 {{(V4) state 'exp_avg' of 'w', of shape 1x6, holds other indices than its tile of the mask}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {rows = array<i64: 1>, combine = "intersection"}},
    %m: tensor<1x6xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg", ssft.tile = {rows = array<i64: 2>}}
) {
  return
}

// -----

// (V4)
// expected-error@+1 {{(V4) mask of 'w': column 6 is out of range for shape 4x6}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {columns = array<i64: 6>, combine = "intersection"}},
    %m: tensor<4x1xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg"}
) {
  return
}

// -----

// (V5) the gradient is sliced after it was computed
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>}},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  %xs = tensor.extract_slice %x[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  // expected-error@+1 {{(V5) the weight gradient of 'fc.weight' is dense, of shape 4x6}}
  %dense = linalg.matmul indexing_maps = [#lhs, #rhs, #out] ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  %gd = tensor.extract_slice %dense[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  %gs = "ssft.weight_grad"(%dy, %xs) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %ws = tensor.extract_slice %w[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  %new:2 = "ssft.update"(%ws, %m, %gd) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>, ssft.tile = {columns = array<i64: 2, 3>}} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  %put = tensor.insert_slice %new#0 into %w[0, 2] [4, 2] [1, 1] : tensor<4x2xf32> into tensor<4x6xf32>
  return %put, %new#1 : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// (V6) sizes
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 3>}}} {
  // expected-error@+1 {{(V6) dimension 1 of 'w' has 6 indices, but 'a*2' has 12}}
  func.func @step(%w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "w", ssft.permuted = ["4", "a*2"]}) {
    return
  }
}

// -----

// (V6) names
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 3>}}} {
  // expected-error@+1 {{(V6) dimension 1 of 'w': a layout names axis 'b', which has no permutation}}
  func.func @step(%w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "w", ssft.permuted = ["4", "b"]}) {
    return
  }
}

// -----

// (V6) syntax
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 3>}}} {
  // expected-error@+1 {{(V6) dimension 1 of 'w': 'a*' is not a dimension layout}}
  func.func @step(%w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "w", ssft.permuted = ["4", "a*"]}) {
    return
  }
}

// -----

// (V6) rank
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 3>}}} {
  // expected-error@+1 {{(V6) 'w' has 2 dimensions, but 1 layouts}}
  func.func @step(%w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "w", ssft.permuted = ["a"]}) {
    return
  }
}

// -----

// (V6) fronts
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 6>}}} {
  // expected-error@+1 {{(V6) an index in [6] is outside an axis of size 6}}
  func.func @step(%w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "w", ssft.permuted = ["4", "a"]}) {
    return
  }
}

// -----

// All violations are reported, not the first alone.
// expected-error@+2 {{(V2) result 0 updates argument 0 'w', whose role is 'input'}}
// expected-error@+1 {{(V3) state 'exp_avg' of 'u', which does not train}}
func.func @step(
    %w: tensor<4xf32> {ssft.role = "input", ssft.name = "w"},
    %m: tensor<4xf32> {ssft.role = "state", ssft.name = "u", ssft.state = "exp_avg"}
) -> (tensor<4xf32> {ssft.updates_arg = 0 : i64}) {
  return %m : tensor<4xf32>
}

// -----

// (V7) a list that is there
// expected-error@+2 {{(V7) 'w' names index list 'w:columns', which does not exist}}
// expected-error@+1 {{(V7) 'w' names index list 'w:columns', which does not exist}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection", column_list = "w:columns"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>, column_list = "w:columns"}}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  return %w, %m : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// (V7) indices in range
// expected-error@+2 {{(V7) index list 'w:columns' has indices that repeat, or lie outside of 0 to 2}}
// expected-error@+1 {{(V7) index list 'w:columns' does not range over the 6 indices of 'w'}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection", column_list = "w:columns"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>, column_list = "w:columns"}},
    %i: tensor<2xi64> {ssft.role = "index", ssft.name = "w:columns", ssft.range = array<i64: 0, 3>, ssft.indices = array<i64: 2, 3>}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  return %w, %m : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// (V7) the mask's indices
// expected-error@+2 {{(V7) 'w' has other indices than list 'w:columns'}}
// expected-error@+1 {{(V7) 'w' has other indices than list 'w:columns'}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection", column_list = "w:columns"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>, column_list = "w:columns"}},
    %i: tensor<2xi64> {ssft.role = "index", ssft.name = "w:columns", ssft.range = array<i64: 0, 6>, ssft.indices = array<i64: 2, 4>}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  return %w, %m : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// (V7) as many as the list takes
// expected-error@+3 {{(V7) index list 'w:columns' is no tensor<3xi64>, which its indices fill}}
// expected-error@+2 {{(V7) 'w' has other indices than list 'w:columns'}}
// expected-error@+1 {{(V7) 'w' has other indices than list 'w:columns'}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection", column_list = "w:columns"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>, column_list = "w:columns"}},
    %i: tensor<2xi64> {ssft.role = "index", ssft.name = "w:columns", ssft.range = array<i64: 0, 6>, ssft.indices = array<i64: 2, 3, 4>}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  return %w, %m : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// (V7) the list that another one is the rest of
// expected-error@+1 {{(V7) index list 'w:columns' is the rest of 'w:rows', which does not exist}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection", column_list = "w:columns"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 2, 3>, column_list = "w:columns"}},
    %i: tensor<2xi64> {ssft.role = "index", ssft.name = "w:columns", ssft.range = array<i64: 0, 6>, ssft.complement = "w:rows", ssft.indices = array<i64: 2, 3>}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  return %w, %m : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// (V7) disjoint rectangles
// expected-error@+1 {{(V7) rectangle 1 of 'w' overlaps another one}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {combine = "rectangles", rectangles = [{rows = array<i64: 0, 1>}, {rows = array<i64: 1>, columns = array<i64: 2>}]}}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}) {
  return %w : tensor<4x6xf32>
}
