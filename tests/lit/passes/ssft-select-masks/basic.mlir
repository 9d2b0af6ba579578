// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks)' | filecheck %s --check-prefix=FULL
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=rows ratio=0.25})' | filecheck %s --check-prefix=ROWS
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=full freeze=up.*})' | filecheck %s --check-prefix=FREEZE
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=full train=* freeze=up.*})' | filecheck %s --check-prefix=NEVER
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=s2ft ratio=0.25 train=up.*})' | filecheck %s --check-prefix=TRAIN
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=explicit masks=down.weight:rows=0:columns=1-2:union;up.*:rows=0-3+6})' | filecheck %s --check-prefix=EXPLICIT
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=explicit masks=up.*:rows=0-7:columns=5})' | filecheck %s --check-prefix=WHOLE
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=s2ft ratio=1})' | filecheck %s --check-prefix=ALL
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=columns ratio=0.25 reselect=5 masks=down.*:rows=1})' | filecheck %s --check-prefix=AGAIN
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=explicit masks=up.*:rows=0:columns=1;up.*:rows=2-3:columns=2})' | filecheck %s --check-prefix=UNITED

// By default everything trains, and nothing is masked.
// FULL-LABEL: func.func @step
// FULL-SAME:   {ssft.name = "up.weight", ssft.role = "trainable"}
// FULL-SAME:   {ssft.name = "down.weight", ssft.role = "trainable"}

// Output channels: rows of both matrices. The draw for an axis is the same in every parameter that has
// it: compare the columns of `down` in doctest.mlir.
// ROWS-LABEL: func.func @step
// ROWS-SAME:   {ssft.mask = {combine = "intersection", rows = array<i64: 2, 7>}, ssft.name = "up.weight", ssft.role = "trainable"}
// ROWS-SAME:   {ssft.mask = {combine = "intersection", rows = array<i64: {{[0-3]}}>}, ssft.name = "down.weight", ssft.role = "trainable"}

// A pattern freezes what the method trains.
// FREEZE-LABEL: func.func @step
// FREEZE-SAME:   {ssft.name = "up.weight", ssft.role = "frozen"}
// FREEZE-SAME:   {ssft.name = "down.weight", ssft.role = "trainable"}

// Never is never: `freeze` overrules `train`.
// NEVER-LABEL: func.func @step
// NEVER-SAME:   {ssft.name = "up.weight", ssft.role = "frozen"}
// NEVER-SAME:   {ssft.name = "down.weight", ssft.role = "trainable"}

// A pattern trains what the method freezes.
// TRAIN-LABEL: func.func @step
// TRAIN-SAME:   {ssft.name = "up.weight", ssft.role = "trainable"}
// TRAIN-SAME:   {ssft.mask = {columns = array<i64: 2, 7>, combine = "intersection"}, ssft.name = "down.weight", ssft.role = "trainable"}

// Masks written out, for one name and for a pattern.
// EXPLICIT-LABEL: func.func @step
// EXPLICIT-SAME:   {ssft.mask = {combine = "intersection", rows = array<i64: 0, 1, 2, 3, 6>}, ssft.name = "up.weight", ssft.role = "trainable"}
// EXPLICIT-SAME:   {ssft.mask = {columns = array<i64: 1, 2>, combine = "union", rows = array<i64: 0>}, ssft.name = "down.weight", ssft.role = "trainable"}

// A list of all rows is no list of rows.
// WHOLE-LABEL: func.func @step
// WHOLE-SAME:   {ssft.mask = {columns = array<i64: 5>, combine = "intersection"}, ssft.name = "up.weight", ssft.role = "trainable"}
// WHOLE-SAME:   {ssft.name = "down.weight", ssft.role = "frozen"}

// A share of everything is no mask at all.
// ALL-LABEL: func.func @step
// ALL-SAME:   {ssft.name = "up.weight", ssft.role = "frozen"}
// ALL-SAME:   {ssft.name = "down.weight", ssft.role = "trainable"}
// What the method chose is only the first choice; masks that are written out stay.
// AGAIN:       module attributes {ssft.selection = "{\22every\22:5,\22measure\22:0,
// AGAIN-SAME:   \22method\22:\22columns\22
// AGAIN-LABEL: func.func @step
// AGAIN-SAME:   {ssft.mask = {column_list = "up.weight:columns", columns = array<i64: {{[0-5](, [0-5])?}}>, combine = "intersection"}, ssft.name = "up.weight", ssft.role = "trainable"}
// AGAIN-SAME:   {ssft.mask = {combine = "intersection", rows = array<i64: 1>}, ssft.name = "down.weight", ssft.role = "trainable"}

// Several masks of a parameter are united.
// UNITED-LABEL: func.func @step
// UNITED-SAME:   {ssft.mask = {combine = "rectangles", rectangles = [{columns = array<i64: 2>, rows = array<i64: 2, 3>}, {columns = array<i64: 1>, rows = array<i64: 0>}]}, ssft.name = "up.weight", ssft.role = "trainable"}
#x = affine_map<(t, o, i) -> (t, i)>
#w = affine_map<(t, o, i) -> (o, i)>
#y = affine_map<(t, o, i) -> (t, o)>
func.func @step(
    %up: tensor<8x6xf32> {ssft.role = "trainable", ssft.name = "up.weight"},
    %down: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "down.weight"},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %p0: tensor<3x8xf32> {ssft.role = "input", ssft.name = "zeros8"},
    %y0: tensor<3x4xf32> {ssft.role = "input", ssft.name = "zeros4"}
) -> (
    tensor<3x4xf32> {ssft.role = "loss"},
    tensor<8x6xf32> {ssft.updates_arg = 0 : i64},
    tensor<4x8xf32> {ssft.updates_arg = 1 : i64}
) {
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<3x6xf32>, tensor<8x6xf32>) outs(%p0 : tensor<3x8xf32>) -> tensor<3x8xf32>
  %y = linalg.matmul indexing_maps = [#x, #w, #y] ins(%p, %down : tensor<3x8xf32>, tensor<4x8xf32>) outs(%y0 : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y, %up, %down : tensor<3x4xf32>, tensor<8x6xf32>, tensor<4x8xf32>
}
