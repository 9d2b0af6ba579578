// RUN: ssft-opt %s --strip-debuginfo --ssft-outline-layers=least=5 -split-input-file | filecheck %s
// RUN: ssft-opt %s --strip-debuginfo --ssft-outline-layers -split-input-file | filecheck %s --check-prefix=FOUR
// RUN: ssft-opt %s --ssft-outline-layers=least=4 -split-input-file | filecheck %s

// Four layers are too few for one who wants five, or if each has lines of its own in the source.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     call
// CHECK:         return
// FOUR-LABEL: func.func @step
// FOUR-COUNT-4: call @repeated_0
// FOUR-LABEL: func.func private
// FOUR-NOT: call
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

// -----

// One of four does something else.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     call
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
    %t = math.absf %s : f32
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

// -----

// One of four reads its own values the other way round.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     call
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
      ins(%x0, %a1 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
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

// -----

// Constants within layers stay where they are: the code is not canonical.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     call
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @step(
    %in: tensor<8xf32> {ssft.role = "input", ssft.name = "x"},
    %w0: tensor<8xf32> {ssft.role = "frozen", ssft.name = "0.w"},
    %w1: tensor<8xf32> {ssft.role = "frozen", ssft.name = "1.w"},
    %w2: tensor<8xf32> {ssft.role = "frozen", ssft.name = "2.w"},
    %w3: tensor<8xf32> {ssft.role = "frozen", ssft.name = "3.w"}
) -> (tensor<8xf32> {ssft.role = "loss"}) {
  %empty = tensor.empty() : tensor<8xf32>
  %c0 = arith.constant 5.0e-1 : f32
  %a0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%in, %w0 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %c0 : f32
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
  %c1 = arith.constant 5.0e-1 : f32
  %a1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x0, %w1 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %c1 : f32
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
  %c2 = arith.constant 5.0e-1 : f32
  %a2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x1, %w2 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %c2 : f32
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
  %c3 = arith.constant 5.0e-1 : f32
  %a3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x2, %w3 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %c3 : f32
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

// -----

// A single short operation is not worth a call.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     call
// CHECK:         return
func.func @step(%in: tensor<8xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<8xf32> {ssft.role = "loss"}) {
  %a = arith.negf %in : tensor<8xf32>
  %b = arith.negf %a : tensor<8xf32>
  %c = arith.negf %b : tensor<8xf32>
  %d = arith.negf %c : tensor<8xf32>
  return %d : tensor<8xf32>
}
