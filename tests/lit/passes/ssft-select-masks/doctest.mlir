// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=s2ft ratio=0.25})' | filecheck %s

// Two layers, `y = down(up(x))`. The eight channels between them are internal: `up` produces them,
// only `down` consumes them. The recipe `s2ft` trains a quarter of them, as columns of `down`, and
// freezes everything else. The pass annotates arguments; it rewrites nothing.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    {ssft.name = "up.weight", ssft.role = "frozen"}
// CHECK-SAME:    {ssft.mask = {columns = array<i64: 2, 7>, combine = "intersection"}, ssft.name = "down.weight", ssft.role = "trainable"}
// CHECK-SAME:    {ssft.name = "x", ssft.role = "input"}
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
