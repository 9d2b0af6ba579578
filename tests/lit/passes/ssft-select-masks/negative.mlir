// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=s2ft ratio=0})' | filecheck %s --check-prefix=NONE
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=heads ratio=0.5})' | filecheck %s --check-prefix=HEADS
// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-select-masks{method=explicit})' | filecheck %s --check-prefix=EXPLICIT
// RUN: ssft-opt %s --ssft-select-masks=method=rows | ssft-opt --ssft-select-masks | filecheck %s --check-prefix=AGAIN

// The share 0 trains nothing.
// NONE-LABEL: func.func @step
// NONE-NOT:     ssft.mask
// NONE-SAME:    {ssft.name = "up.weight", ssft.role = "frozen"}
// NONE-SAME:    {ssft.name = "down.weight", ssft.role = "frozen"}

// There are no heads here: the internal axis is no product of heads and their size.
// HEADS-LABEL: func.func @step
// HEADS-NOT:     ssft.mask
// HEADS-SAME:    {ssft.name = "up.weight", ssft.role = "frozen"}
// HEADS-SAME:    {ssft.name = "down.weight", ssft.role = "frozen"}

// Nothing is named.
// EXPLICIT-LABEL: func.func @step
// EXPLICIT-NOT:     ssft.mask
// EXPLICIT-SAME:    {ssft.name = "up.weight", ssft.role = "frozen"}
// EXPLICIT-SAME:    {ssft.name = "down.weight", ssft.role = "frozen"}

// The masks of an earlier choice do not outlive the next one.
// AGAIN-LABEL: func.func @step
// AGAIN-NOT:     ssft.mask
// AGAIN-SAME:    {ssft.name = "up.weight", ssft.role = "trainable"}
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
