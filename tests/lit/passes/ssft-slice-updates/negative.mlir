// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-slice-updates,canonicalize,cse)' -split-input-file | filecheck %s

// A parameter without a mask trains entirely: its update stays dense.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK:         %[[G:.*]] = linalg.matmul
// CHECK:         %[[NEW:.*]]:2 = "ssft.update"(%[[W]], %[[M]], %[[G]])
// CHECK:         return %[[NEW]]#0, %[[NEW]]#1
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight"},
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

// A mask that names everything is no reason to slice.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x6xf32>
// CHECK:         "ssft.update"(%[[W]],
// CHECK-NOT:     insert_slice
// CHECK:         return
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64: 0, 1, 2, 3>, combine = "intersection"}},
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

// A mask that names nothing trains nothing: state and update go.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     momentum_buffer
// CHECK-NOT:     ssft.updates_arg
// CHECK-NOT:     "ssft.update"
// CHECK:         return{{$}}
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {rows = array<i64>, combine = "intersection"}},
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

// A product that starts from something else than zeros: the slice is taken of its whole result.
// CHECK-LABEL: func.func @step
// CHECK:         %[[G:.*]] = linalg.matmul {{.*}} outs(%{{.*}} : tensor<4x6xf32>)
// CHECK:         %[[GC:.*]] = tensor.extract_slice %[[G]][0, 2] [4, 2] [1, 1]
// CHECK:         "ssft.update"(%{{.*}}, %{{.*}}, %[[GC]])
#lhs = affine_map<(o, i, t) -> (t, o)>
#rhs = affine_map<(o, i, t) -> (t, i)>
#out = affine_map<(o, i, t) -> (o, i)>
func.func @step(
    %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "fc.weight", ssft.mask = {columns = array<i64: 2, 3>, combine = "intersection"}},
    %m: tensor<4x6xf32> {ssft.role = "state", ssft.name = "fc.weight", ssft.state = "momentum_buffer"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %start: tensor<4x6xf32> {ssft.role = "input", ssft.name = "start"}
) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4x6xf32> {ssft.updates_arg = 1 : i64}) {
  %g = linalg.matmul indexing_maps = [#lhs, #rhs, #out]
      ins(%dy, %x : tensor<3x4xf32>, tensor<3x6xf32>) outs(%start : tensor<4x6xf32>) -> tensor<4x6xf32>
  %new:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return %new#0, %new#1 : tensor<4x6xf32>, tensor<4x6xf32>
}
