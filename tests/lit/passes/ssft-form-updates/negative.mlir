// RUN: ssft-opt %s --ssft-form-updates -split-input-file -verify-diagnostics | filecheck %s

// Twins of basic.mlir that `ssft.update` cannot express: the step stays as it is, with a remark.

// A new value that depends on no gradient.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<(i) -> (i)>
// expected-remark@+1 {{'b' is updated by no element-wise program}}
func.func @step(%w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"}) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%w : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %a : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A weight that is replaced, not updated.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
// expected-remark@+1 {{'b' is updated by no element-wise program}}
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  return %g : tensor<8xf32>
}

// -----

// A program that depends on where the element is.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<(i) -> (i)>
// expected-remark@+1 {{'b' is updated by no element-wise program}}
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %i = linalg.index 0 : index
    %n = arith.index_cast %i : index to i64
    %f = arith.sitofp %n : i64 to f32
    %p = arith.mulf %b, %f : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A learning rate per row is no scalar.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
// expected-remark@+1 {{'w' is updated by no element-wise program}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"},
    %rates: tensor<4xf32> {ssft.role = "frozen", ssft.name = "rates"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<4x6xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w, %g, %rates : tensor<4x6xf32>, tensor<4x6xf32>, tensor<4xf32>) outs(%e : tensor<4x6xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %out: f32):
    %p = arith.mulf %b, %c : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<4x6xf32>
  return %new : tensor<4x6xf32>
}

// -----

// A body that reads what the result overwrites: there is a further operand that no map shows.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<(i) -> (i)>
// expected-remark@+1 {{'b' is updated by no element-wise program}}
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %new = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%g : tensor<8xf32>) outs(%w : tensor<8xf32>) {
  ^bb0(%b: f32, %out: f32):
    %r = arith.subf %out, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// Gradients of two element types.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<(i) -> (i)>
// expected-remark@+1 {{'b' is updated by no element-wise program}}
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"},
    %h: tensor<8xbf16> {ssft.role = "input", ssft.name = "h"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g, %h : tensor<8xf32>, tensor<8xf32>, tensor<8xbf16>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: bf16, %out: f32):
    %wide = arith.extf %c : bf16 to f32
    %p = arith.addf %b, %wide : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A state of another shape, as factored optimizers have.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
// expected-remark@+1 {{'w' is updated by no element-wise program}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w"},
    %rows: tensor<4xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "row"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4xf32> {ssft.updates_arg = 1 : i64}) {
  %sums = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%g : tensor<4x6xf32>) outs(%rows : tensor<4xf32>) {
  ^bb0(%b: f32, %acc: f32):
    %r = arith.addf %acc, %b : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %e = tensor.empty() : tensor<4x6xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w, %g : tensor<4x6xf32>, tensor<4x6xf32>) outs(%e : tensor<4x6xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<4x6xf32>
  return %new, %sums : tensor<4x6xf32>, tensor<4xf32>
}

// -----

// An argument that is not a parameter, here the step counter, is updated as it was.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         linalg.generic
// CHECK:         return
#scalar = affine_map<() -> ()>
func.func @step(%n: tensor<f64> {ssft.role = "step", ssft.name = "step"}) -> (tensor<f64> {ssft.updates_arg = 0 : i64}) {
  %one = arith.constant 1.0 : f64
  %e = tensor.empty() : tensor<f64>
  %next = linalg.generic {indexing_maps = [#scalar, #scalar], iterator_types = []}
      ins(%n : tensor<f64>) outs(%e : tensor<f64>) {
  ^bb0(%a: f64, %out: f64):
    %r = arith.addf %a, %one : f64
    linalg.yield %r : f64
  } -> tensor<f64>
  return %next : tensor<f64>
}

// -----

// A scalar parameter whose gradient no result names: it cannot be told from the learning rate.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     "ssft.update"
// CHECK:         return
#id = affine_map<() -> ()>
// expected-remark@+1 {{'scale' is updated by no element-wise program}}
func.func @step(
    %w: tensor<f32> {ssft.role = "trainable", ssft.name = "scale"},
    %lr: tensor<f32> {ssft.role = "hyper", ssft.name = "lr"},
    %g: tensor<f32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<f32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<f32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = []}
      ins(%w, %g, %lr : tensor<f32>, tensor<f32>, tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %out: f32):
    %p = arith.mulf %b, %c : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %new : tensor<f32>
}
