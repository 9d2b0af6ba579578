// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-slice-updates,canonicalize,cse)' -split-input-file | filecheck %s

// Rows are slices of the output's gradient.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<1x6xf32>
// CHECK-SAME:    ssft.tile = {rows = array<i64: 2>}
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<3x4xf32>
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK:         %[[DYR:.*]] = tensor.extract_slice %[[DY]][0, 2] [3, 1] [1, 1]
// CHECK:         "ssft.weight_grad"(%[[DYR]], %[[X]])
// CHECK:         tensor.insert_slice %{{.*}} into %[[W]][2, 0] [1, 6] [1, 1]
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 2>, combine = "intersection"}},
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

// -----

// A block is a slice of both.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<2x3xf32>
// CHECK-SAME:    ssft.tile = {columns = array<i64: 3, 4, 5>, rows = array<i64: 0, 1>}
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<3x4xf32>
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK-DAG:     %[[DYR:.*]] = tensor.extract_slice %[[DY]][0, 0] [3, 2] [1, 1]
// CHECK-DAG:     %[[XC:.*]] = tensor.extract_slice %[[X]][0, 3] [3, 3] [1, 1]
// CHECK:         "ssft.weight_grad"(%[[DYR]], %[[XC]]) : (tensor<3x2xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 0, 1>, columns = array<i64: 3, 4, 5>, combine = "intersection"}},
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

// -----

// A union has two disjoint tiles: its rows, and its columns of the other rows. There is a state for
// each, and the second update works on what the first has left.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK-SAME:    %[[MR:[a-z0-9]+]]: tensor<1x6xf32>
// CHECK-SAME:    ssft.tile = {rows = array<i64: 0>}
// CHECK-SAME:    %[[MC:[a-z0-9]+]]: tensor<3x2xf32>
// CHECK-SAME:    ssft.tile = {columns = array<i64: 1, 2>, rows = array<i64: 1, 2, 3>}
// CHECK-SAME:    -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<1x6xf32> {ssft.updates_arg = 1 : i64}, tensor<3x2xf32> {ssft.updates_arg = 2 : i64})
// CHECK:         %[[ROWS:.*]]:2 = "ssft.update"(%{{.*}}, %[[MR]], %{{.*}})
// CHECK:         %[[FIRST:.*]] = tensor.insert_slice %[[ROWS]]#0 into %[[W]][0, 0] [1, 6] [1, 1]
// CHECK:         %[[COLUMNS:.*]]:2 = "ssft.update"(%{{.*}}, %[[MC]], %{{.*}})
// CHECK:         %[[SECOND:.*]] = tensor.insert_slice %[[COLUMNS]]#0 into %[[FIRST]][1, 1] [3, 2] [1, 1]
// CHECK:         return %[[SECOND]], %[[ROWS]]#1, %[[COLUMNS]]#1
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 0>, columns = array<i64: 1, 2>, combine = "union"}},
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

// -----

// Indices that are not contiguous are gathered and scattered.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<4x2xf32>
// CHECK-SAME:    ssft.tile = {columns = array<i64: 1, 4>}
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK:         %[[INDICES:.*]] = arith.constant dense<[1, 4]> : tensor<2xi64>
// CHECK-DAG:     %[[XC:.*]] = "ssft.gather"(%[[X]], %[[INDICES]]) {dim = 1 : i64}
// CHECK-DAG:     %[[WC:.*]] = "ssft.gather"(%[[W]], %[[INDICES]]) {dim = 1 : i64}
// CHECK:         %[[NEW:.*]]:2 = "ssft.update"(%[[WC]], %[[M]],
// CHECK:         %[[PUT:.*]] = "ssft.scatter"(%[[W]], %[[INDICES]], %[[NEW]]#0) {dim = 1 : i64}
// CHECK:         return %[[PUT]]
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 1, 4>, combine = "intersection"}},
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

// -----

// Permuted storage: columns 1 and 4 come first, so they are a slice. The tile lists its columns in
// stored order; rows, of which it holds all, keep their layout.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32> {{.*}}ssft.permuted = ["r", "c"]
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<4x2xf32>
// CHECK-SAME:    ssft.permuted = ["r", "2"]
// CHECK-SAME:    ssft.tile = {columns = array<i64: 4, 1>}
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK:         tensor.extract_slice %[[X]][0, 0] [3, 2] [1, 1]
// CHECK:         "ssft.update"
// CHECK:         ssft.permuted = ["r", "2"], ssft.tile = {columns = array<i64: 4, 1>}
// CHECK:         tensor.insert_slice %{{.*}} into %[[W]][0, 0] [4, 2] [1, 1]
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
module attributes {ssft.permutations = {c = {size = 6 : i64, front = array<i64: 4, 1>}, r = {size = 4 : i64, front = array<i64: 3>}}} {
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 1, 4>, combine = "intersection"}, ssft.permuted = ["r", "c"]},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer", ssft.permuted = ["r", "c"]},
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

// The frozen weight loses its update, its state and its gradient; its value is no result.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    tensor<4x6xf32> {ssft.name = "fc.weight", ssft.role = "frozen"}
// CHECK-NOT:     momentum_buffer
// CHECK-NOT:     ssft.updates_arg
// CHECK-NOT:     linalg.matmul
// CHECK:         return{{$}}
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "frozen", ssft.name = "fc.weight"},
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

// -----

// The norm of the gradient, as clipping needs it, is that of the trained slices: squares and sum run
// over the tiles, one after the other.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[INIT:[a-z0-9]+]]: tensor<f32>
// CHECK-DAG:     %[[ROWS:.*]] = "ssft.weight_grad"{{.*}} -> tensor<1x6xf32>
// CHECK-DAG:     %[[COLUMNS:.*]] = "ssft.weight_grad"{{.*}} -> tensor<3x2xf32>
// CHECK-DAG:     %[[SQUARES1:.*]] = linalg.generic {{.*}} ins(%[[ROWS]] :
// CHECK-DAG:     %[[SQUARES2:.*]] = linalg.generic {{.*}} ins(%[[COLUMNS]] :
// CHECK-DAG:     %[[SUM1:.*]] = linalg.generic {{.*}} ins(%[[SQUARES1]] : tensor<1x6xf32>) outs(%[[INIT]] :
// CHECK-DAG:     %[[SUM2:.*]] = linalg.generic {{.*}} ins(%[[SQUARES2]] : tensor<3x2xf32>) outs(%[[SUM1]] :
// CHECK-NOT:     tensor<4x6xf32>) outs
// CHECK:         return {{.*}}, %[[SUM2]] :
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 0>, columns = array<i64: 1, 2>, combine = "union"}},
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
  %square = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<4x6xf32>) outs(%empty : tensor<4x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.mulf %a, %a : f32
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

// What is frozen has no part in the norm.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[INIT:[a-z0-9]+]]: tensor<f32>
// CHECK-NOT:     linalg.generic
// CHECK:         return %[[INIT]]
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
  %square = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<4x6xf32>) outs(%empty : tensor<4x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.mulf %a, %a : f32
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

// Index lists become arguments before the batch, and slices are gathered by what they hold. The rows of
// a union's second tile are a list of their own, always the rest of the first one's.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK-SAME:    %[[MR:[a-z0-9]+]]: tensor<1x6xf32>
// CHECK-SAME:    ssft.tile = {row_list = "fc.weight:rows", rows = array<i64: 0>}
// CHECK-SAME:    %[[MC:[a-z0-9]+]]: tensor<3x2xf32>
// CHECK-SAME:    ssft.tile = {column_list = "fc.weight:columns", columns = array<i64: 1, 4>, row_list = "fc.weight:rows:others", rows = array<i64: 1, 2, 3>}
// CHECK-SAME:    %[[R:[a-z0-9]+]]: tensor<1xi64> {ssft.indices = array<i64: 0>, ssft.name = "fc.weight:rows", ssft.range = array<i64: 0, 4>, ssft.role = "index"}
// CHECK-SAME:    %[[O:[a-z0-9]+]]: tensor<3xi64> {ssft.complement = "fc.weight:rows", ssft.indices = array<i64: 1, 2, 3>, ssft.name = "fc.weight:rows:others", ssft.range = array<i64: 0, 4>, ssft.role = "index"}
// CHECK-SAME:    %[[C:[a-z0-9]+]]: tensor<2xi64> {ssft.indices = array<i64: 1, 4>, ssft.name = "fc.weight:columns", ssft.range = array<i64: 0, 6>, ssft.role = "index"}
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<3x4xf32>
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK-DAG:     %[[DYR:.*]] = "ssft.gather"(%[[DY]], %[[R]]) {dim = 1 : i64}
// CHECK-DAG:     "ssft.weight_grad"(%[[DYR]], %[[X]])
// CHECK-DAG:     %[[DYO:.*]] = "ssft.gather"(%[[DY]], %[[O]]) {dim = 1 : i64}
// CHECK-DAG:     %[[XC:.*]] = "ssft.gather"(%[[X]], %[[C]]) {dim = 1 : i64}
// CHECK-DAG:     "ssft.weight_grad"(%[[DYO]], %[[XC]])
// CHECK:         "ssft.scatter"(%[[W]], %[[R]], %{{.*}}) {dim = 0 : i64}
// CHECK:         "ssft.scatter"(%{{.*}}, %[[O]], %{{.*}}) {dim = 0 : i64}
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 0>, columns = array<i64: 1, 4>, combine = "union", row_list = "fc.weight:rows", column_list = "fc.weight:columns"}},
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

// -----

// Rectangles: a product and a state each.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK-SAME:    %[[M0:[a-z0-9]+]]: tensor<2x3xf32>
// CHECK-SAME:    ssft.tile = {columns = array<i64: 0, 1, 2>, rows = array<i64: 0, 1>}
// CHECK-SAME:    %[[M1:[a-z0-9]+]]: tensor<1x2xf32>
// CHECK-SAME:    ssft.tile = {columns = array<i64: 2, 5>, rows = array<i64: 3>}
// CHECK-SAME:    -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<2x3xf32> {ssft.updates_arg = 1 : i64}, tensor<1x2xf32> {ssft.updates_arg = 2 : i64})
// CHECK-DAG:     "ssft.weight_grad"({{.*}}) : (tensor<3x2xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
// CHECK-DAG:     "ssft.weight_grad"({{.*}}) : (tensor<3x1xf32>, tensor<3x2xf32>) -> tensor<1x2xf32>
// CHECK:         %[[FIRST:.*]] = tensor.insert_slice %{{.*}} into %[[W]][0, 0] [2, 3] [1, 1]
// CHECK:         "ssft.scatter"(%[[FIRST]], %{{.*}}, %{{.*}}) {dim = 1 : i64}
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {combine = "rectangles", rectangles = [{rows = array<i64: 0, 1>, columns = array<i64: 0, 1, 2>}, {rows = array<i64: 3>, columns = array<i64: 2, 5>}]}},
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
