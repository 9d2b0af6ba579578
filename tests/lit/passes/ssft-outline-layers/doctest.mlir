// RUN: ssft-opt %s --strip-debuginfo --ssft-outline-layers | filecheck %s

// Four layers do the same with other weights. They become one function; the constant that they share
// is in it, and what one layer hands to the next goes through the calls.

// CHECK-LABEL: func.func @step
// CHECK-NOT:     linalg.generic
// CHECK:         %[[X0:.*]] = call @repeated_0(%arg0, %arg1)
// CHECK:         %[[X1:.*]] = call @repeated_0(%[[X0]], %arg2)
// CHECK:         %[[X2:.*]] = call @repeated_0(%[[X1]], %arg3)
// CHECK:         %[[X3:.*]] = call @repeated_0(%[[X2]], %arg4)
// CHECK-NEXT:    return %[[X3]]
// CHECK-LABEL: func.func private @repeated_0
// CHECK-SAME:    attributes {ssft.outlined}
// CHECK:         arith.constant 5.0
// CHECK-COUNT-2: linalg.generic
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @step(
    %in: tensor<8xf32> {ssft.role = "input", ssft.name = "x"},
    %w0: tensor<8xf32> {ssft.role = "frozen", ssft.name = "0.w"},
    %w1: tensor<8xf32> {ssft.role = "frozen", ssft.name = "1.w"},
    %w2: tensor<8xf32> {ssft.role = "frozen", ssft.name = "2.w"},
    %w3: tensor<8xf32> {ssft.role = "frozen", ssft.name = "3.w"}
) -> (tensor<8xf32> {ssft.role = "loss"}) {
  %scale = arith.constant 5.0e-1 : f32
  %empty = tensor.empty() : tensor<8xf32>
  %a0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%in, %w0 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a0, %in : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %a1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x0, %w1 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a1, %x0 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %a2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x1, %w2 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a2, %x1 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %a3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x2, %w3 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a3, %x2 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  return %x3 : tensor<8xf32>
}
