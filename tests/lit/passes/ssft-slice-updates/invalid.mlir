// RUN: ssft-opt %s --ssft-slice-updates -split-input-file -verify-diagnostics

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

#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection"}},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %init: tensor<f32> {ssft.role = "input", ssft.name = "init"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}, tensor<f32> {ssft.role = "metric"}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  %g = linalg.matmul indexing_maps = [#lhs, #rhs, #out]
      ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  // expected-error@+2 {{cannot mask 'fc.weight': 'linalg.generic' reads its gradient in a way that is no sum of a function with f(0) = 0}}
  // expected-note@+1 {{train it entirely}}
  %square = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<4x6xf32>) outs(%empty : tensor<4x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<4x6xf32>
  %norm = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%square : tensor<4x6xf32>) outs(%init : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.addf %acc, %a : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1, %norm : tensor<4x6xf32>, tensor<4x6xf32>, tensor<f32>
}

// -----

#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "fc.weight"},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %init: tensor<f32> {ssft.role = "input", ssft.name = "init"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}, tensor<f32> {ssft.role = "metric"}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  %g = linalg.matmul indexing_maps = [#lhs, #rhs, #out]
      ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  // expected-error@+2 {{cannot freeze 'fc.weight': 'linalg.generic' reads its gradient in a way that is no sum of a function with f(0) = 0}}
  // expected-note@+1 {{train it entirely}}
  %square = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<4x6xf32>) outs(%empty : tensor<4x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<4x6xf32>
  %norm = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%square : tensor<4x6xf32>) outs(%init : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.addf %acc, %a : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1, %norm : tensor<4x6xf32>, tensor<4x6xf32>, tensor<f32>
}

// -----

// expected-error@+2 {{cannot mask 'w': its update is not element-wise}}
// expected-note@+1 {{train it entirely or freeze it; or run ssft-form-updates first}}
func.func @step(%w: tensor<4xf32> {ssft.role = "trainable", ssft.name = "w", ssft.mask = {rows = array<i64: 0>, combine = "intersection"}})
    -> (tensor<4xf32> {ssft.updates_arg = 0 : i64}) {
  return %w : tensor<4xf32>
}

// -----

#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
// expected-error@+2 {{mask of 'fc.weight': column 6 is out of range for shape 4x6}}
// expected-note@+1 {{columns go from 0 to 5}}
module {
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 6>, combine = "intersection"}},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x6xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x6xf32>) -> tensor<4x6xf32>
  %g = linalg.matmul indexing_maps = [#lhs, #rhs, #out]
      ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%zeros : tensor<4x6xf32>) -> tensor<4x6xf32>
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}
}

// -----

// With clipping, a gradient that no norm reads would stay in it.
module attributes {ssft.max_grad_norm = 1.0 : f64} {
  // expected-error@+2 {{cannot mask 'b': its gradient cannot be found in the norm for clipping}}
  // expected-note@+1 {{set requires_grad=False on it in model(), or train it entirely}}
  func.func @step(
      %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b", ssft.mask = {rows = array<i64: 2>, combine = "intersection"}},
      %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
  ) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
    %new = "ssft.update"(%w, %g) ({
    ^bb0(%we: f32, %ge: f32):
      %wn = arith.subf %we, %ge : f32
      "ssft.yield"(%wn) : (f32) -> ()
    }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    return %new : tensor<8xf32>
  }
}
