// RUN: ssft-opt %s --ssft-co-permute -split-input-file -verify-diagnostics | filecheck %s

// Channels that come first already need no permutation.
// CHECK:       module {
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.permuted
// CHECK:         return
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight"},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight", ssft.mask = {columns = array<i64: 0, 1, 2>, combine = "intersection"}},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// Nothing is masked, so nothing is to be made contiguous.
// CHECK:       module {
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.permuted
// CHECK:         return
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight"},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight"},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// The rows of `down` are what the caller sees: their order is not ours to change. The rows stay
// gathered, while the columns of the same block are permuted.
// CHECK:       ssft.permutations = {[[AXIS:[a-z0-9]+]] = {front = array<i64: 5>, size = 8 : i64}}
// CHECK-LABEL: func.func @step
// CHECK-SAME:    ssft.name = "down.weight", ssft.permuted = ["4", "[[AXIS]]"]
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
// expected-remark-re@+1 {{rows of 'down.weight' stay gathered: axis a{{[0-9]+}} of size 4 is fixed: visible outside the step (loss)}}
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight"},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight", ssft.mask = {rows = array<i64: 1, 3>, columns = array<i64: 5>, combine = "intersection"}},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// The columns of `up` are channels of an input: they cannot be reordered either.
// CHECK:       module {
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.permuted
// CHECK:         return
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
// expected-remark-re@+1 {{columns of 'up.weight' stay gathered: axis a{{[0-9]+}} of size 6 is fixed: visible outside the step (input)}}
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight", ssft.mask = {columns = array<i64: 1, 4>, combine = "intersection"}},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight"},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// Neighbours are a slice where they are, so that they need no order, and there is no remark.
// CHECK:       module {
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.permuted
// CHECK:         return
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight", ssft.mask = {columns = array<i64: 2, 3, 4>, combine = "intersection"}},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight"},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// No rows but some columns: the empty set is no obstacle.
// CHECK:       ssft.permutations = {{.*}} = {front = array<i64: 2>, size = 8 : i64}
// CHECK-LABEL: func.func @step
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
#id = affine_map<(t, o) -> (t, o)>
#bias = affine_map<(t, o) -> (o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight"},
    %bias: tensor<8xf32> {ssft.role = "frozen", ssft.name = "up.bias"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight", ssft.mask = {rows = array<i64>, columns = array<i64: 2>, combine = "union"}},
    %m: tensor<4x8xf32> {ssft.role = "state", ssft.name = "down.weight", ssft.state = "momentum_buffer"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %g: tensor<4x8xf32> {ssft.role = "frozen", ssft.name = "gradient"},
    %p0: tensor<3x8xf32> {ssft.role = "frozen", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "frozen", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 2 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 3 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #bias, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %bias : tensor<3x8xf32>, tensor<8xf32>) outs(%p0 : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %new:2 = "ssft.update"(%down, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return %y, %up, %new#0, %new#1 : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}
