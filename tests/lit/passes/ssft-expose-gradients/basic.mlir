// RUN: ssft-opt %s --ssft-expose-gradients -split-input-file | filecheck %s

// A slice says which rows and columns it is.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<4x2xf32> {ssft.name = "fc.weight", ssft.role = "gradient", ssft.tile = {columns = array<i64: 2, 3>}})
// CHECK:         %[[G:.*]] = "ssft.weight_grad"
// CHECK:         return %{{.*}}, %{{.*}}, %[[G]]
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
  %gs = "ssft.weight_grad"(%dy, %xs) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %ws = tensor.extract_slice %w[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  %new:2 = "ssft.update"(%ws, %m, %gs) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>, ssft.tile = {columns = array<i64: 2, 3>}} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  %put = tensor.insert_slice %new#0 into %w[0, 2] [4, 2] [1, 1] : tensor<4x2xf32> into tensor<4x6xf32>
  return %put, %new#1 : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// A gathered slice of the weight belongs to the weight, too.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<4x2xf32> {ssft.name = "fc.weight", ssft.role = "gradient", ssft.tile = {columns = array<i64: 1, 4>}})
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 1, 4>, combine = "intersection"}},
    %m: tensor<4x2xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer", ssft.tile = {columns = array<i64: 1, 4>}},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x2xf32> {ssft.updates_arg = 1 : i64}) {
  %xs = tensor.extract_slice %x[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %gs = "ssft.weight_grad"(%dy, %xs) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %i = arith.constant dense<[1, 4]> : tensor<2xi64>
  %ws = "ssft.gather"(%w, %i) {dim = 1 : i64} : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  %new:2 = "ssft.update"(%ws, %m, %gs) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>, ssft.tile = {columns = array<i64: 1, 4>}} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  %put = "ssft.scatter"(%w, %i, %new#0) {dim = 1 : i64} : (tensor<4x6xf32>, tensor<2xi64>, tensor<4x2xf32>) -> tensor<4x6xf32>
  return %put, %new#1 : tensor<4x6xf32>, tensor<4x2xf32>
}

// -----

// One result for each tile of a union; the second tile is cut from what the first update has left.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<1x6xf32> {ssft.name = "fc.weight", ssft.role = "gradient", ssft.tile = {rows = array<i64: 0>}}
// CHECK-SAME:    tensor<3x1xf32> {ssft.name = "fc.weight", ssft.role = "gradient", ssft.tile = {columns = array<i64: 1>, rows = array<i64: 1, 2, 3>}}
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 0>, columns = array<i64: 1>, combine = "union"}},
    %gr: tensor<1x6xf32> {ssft.role = "input", ssft.name = "gr"},
    %gc: tensor<3x1xf32> {ssft.role = "input", ssft.name = "gc"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}) {
  %rows = tensor.extract_slice %w[0, 0] [1, 6] [1, 1] : tensor<4x6xf32> to tensor<1x6xf32>
  %newr = "ssft.update"(%rows, %gr) ({
  ^bb0(%we: f32, %ge: f32):
    %wn = arith.subf %we, %ge : f32
    "ssft.yield"(%wn) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>, ssft.tile = {rows = array<i64: 0>}} : (tensor<1x6xf32>, tensor<1x6xf32>) -> tensor<1x6xf32>
  %first = tensor.insert_slice %newr into %w[0, 0] [1, 6] [1, 1] : tensor<1x6xf32> into tensor<4x6xf32>
  %columns = tensor.extract_slice %first[1, 1] [3, 1] [1, 1] : tensor<4x6xf32> to tensor<3x1xf32>
  %newc = "ssft.update"(%columns, %gc) ({
  ^bb0(%we: f32, %ge: f32):
    %wn = arith.subf %we, %ge : f32
    "ssft.yield"(%wn) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>, ssft.tile = {rows = array<i64: 1, 2, 3>, columns = array<i64: 1>}} : (tensor<3x1xf32>, tensor<3x1xf32>) -> tensor<3x1xf32>
  %second = tensor.insert_slice %newc into %first[1, 1] [3, 1] [1, 1] : tensor<3x1xf32> into tensor<4x6xf32>
  return %second : tensor<4x6xf32>
}

// -----

// One result for each addend of a tied weight's gradient.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<4x6xf32> {ssft.name = "g"
// CHECK-SAME:    %[[H:[a-z0-9]+]]: tensor<4x6xf32> {ssft.name = "h"
// CHECK:         return %{{.*}}#0, %{{.*}}#1, %[[G]], %[[H]]
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"},
    %h: tensor<4x6xf32> {ssft.role = "input", ssft.name = "h"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %new:2 = "ssft.update"(%w, %m, %g, %h) ({
  ^bb0(%we: f32, %me: f32, %ge: f32, %he: f32):
    %sum = arith.addf %ge, %he : f32
    %mn = arith.addf %me, %sum : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 2>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}

// -----

// The gradient of a weight that is stored permuted has the weight's layout.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<4x6xf32> {ssft.name = "fc.weight", ssft.permuted = ["4", "a"], ssft.role = "gradient"})
module attributes {ssft.permutations = {a = {size = 6 : i64, front = array<i64: 3>}}} {
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.permuted = ["4", "a"]},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.permuted = ["4", "a"], ssft.state = "momentum_buffer"},
    %g: tensor<4x6xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}
}
