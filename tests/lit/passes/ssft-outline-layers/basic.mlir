// RUN: ssft-opt %s --strip-debuginfo --ssft-outline-layers -split-input-file | filecheck %s
// RUN: ssft-opt %s --strip-debuginfo --ssft-outline-layers --ssft-inline-layers -split-input-file -o %t.there
// RUN: ssft-opt %s -split-input-file -o %t.flat
// RUN: diff %t.there %t.flat

// What says where an update's slice belongs differs from layer to layer: the call brings it.
// CHECK-LABEL: func.func @step
// CHECK:         call @repeated_0({{.*}}) {ssft.slots = [{ssft.tile = {rows = array<i64: 0>}}]}
// CHECK:         call @repeated_0({{.*}}) {ssft.slots = [{ssft.tile = {rows = array<i64: 1>}}]}
// CHECK:         call @repeated_0({{.*}}) {ssft.slots = [{ssft.tile = {rows = array<i64: 2>}}]}
// CHECK:         call @repeated_0({{.*}}) {ssft.slots = [{ssft.tile = {rows = array<i64: 3>}}]}
// CHECK-LABEL: func.func private @repeated_0
// CHECK:         ssft.slot = 0
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
      ins(%a0, %in : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) attrs = {ssft.tile = {rows = array<i64: 0>}} {
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
      ins(%a1, %x0 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) attrs = {ssft.tile = {rows = array<i64: 1>}} {
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
      ins(%a2, %x1 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) attrs = {ssft.tile = {rows = array<i64: 2>}} {
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
      ins(%a3, %x2 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) attrs = {ssft.tile = {rows = array<i64: 3>}} {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  return %x3 : tensor<8xf32>
}

// -----

// Something stands between the third layer and the fourth, which still calls the function.
// CHECK-LABEL: func.func @step
// CHECK-COUNT-3: call @repeated_0
// CHECK:         math.exp
// CHECK-COUNT-4: call @repeated_0
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @step(
    %in: tensor<8xf32> {ssft.role = "input", ssft.name = "x"},
    %w0: tensor<8xf32> {ssft.role = "frozen", ssft.name = "0.w"},
    %w1: tensor<8xf32> {ssft.role = "frozen", ssft.name = "1.w"},
    %w2: tensor<8xf32> {ssft.role = "frozen", ssft.name = "2.w"},
    %w3: tensor<8xf32> {ssft.role = "frozen", ssft.name = "3.w"},
    %w4: tensor<8xf32> {ssft.role = "frozen", ssft.name = "4.w"},
    %w5: tensor<8xf32> {ssft.role = "frozen", ssft.name = "5.w"},
    %w6: tensor<8xf32> {ssft.role = "frozen", ssft.name = "6.w"}
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
  %odd = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x2 : tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %out: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %a3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%odd, %w3 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a3, %odd : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %a4 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x3, %w4 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x4 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a4, %x3 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %a5 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x4, %w5 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x5 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a5, %x4 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %a6 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x5, %w6 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %scale : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %x6 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a6, %x5 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  return %x6 : tensor<8xf32>
}

// -----

// Index lists that differ are passed; the empty tensor that all start from is the function's own.
// CHECK-LABEL: func.func @step
// CHECK:         %[[LIST0:.*]] = arith.constant dense<[0, 1, 2, 3, 0, 1, 2, 3]>
// CHECK:         call @repeated_0(%{{.*}}, %{{.*}}, %[[LIST0]]) : (tensor<8xf32>, tensor<8xf32>, tensor<8xi64>) -> tensor<8xf32>
// CHECK-COUNT-3: call @repeated_0
// CHECK-LABEL: func.func private @repeated_0
// CHECK-NEXT:    tensor.empty
// CHECK:         "ssft.gather"
#id = affine_map<(i) -> (i)>
func.func @step(
    %in: tensor<8xf32> {ssft.role = "input", ssft.name = "x"},
    %w0: tensor<8xf32> {ssft.role = "frozen", ssft.name = "0.w"},
    %w1: tensor<8xf32> {ssft.role = "frozen", ssft.name = "1.w"},
    %w2: tensor<8xf32> {ssft.role = "frozen", ssft.name = "2.w"},
    %w3: tensor<8xf32> {ssft.role = "frozen", ssft.name = "3.w"}
) -> (tensor<8xf32> {ssft.role = "loss"}) {
  %empty = tensor.empty() : tensor<8xf32>
  %list0 = arith.constant dense<[0, 1, 2, 3, 0, 1, 2, 3]> : tensor<8xi64>
  %list1 = arith.constant dense<[1, 2, 3, 4, 0, 1, 2, 3]> : tensor<8xi64>
  %list2 = arith.constant dense<[2, 3, 4, 5, 0, 1, 2, 3]> : tensor<8xi64>
  %list3 = arith.constant dense<[3, 4, 5, 6, 0, 1, 2, 3]> : tensor<8xi64>
  %a0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%in, %w0 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.mulf %r, %p : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %g0 = "ssft.gather"(%a0, %list0) {dim = 0 : i64} : (tensor<8xf32>, tensor<8xi64>) -> tensor<8xf32>
  %x0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%g0, %in : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
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
    %s = arith.mulf %r, %p : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %g1 = "ssft.gather"(%a1, %list1) {dim = 0 : i64} : (tensor<8xf32>, tensor<8xi64>) -> tensor<8xf32>
  %x1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%g1, %x0 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
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
    %s = arith.mulf %r, %p : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %g2 = "ssft.gather"(%a2, %list2) {dim = 0 : i64} : (tensor<8xf32>, tensor<8xi64>) -> tensor<8xf32>
  %x2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%g2, %x1 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
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
    %s = arith.mulf %r, %p : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  %g3 = "ssft.gather"(%a3, %list3) {dim = 0 : i64} : (tensor<8xf32>, tensor<8xi64>) -> tensor<8xf32>
  %x3 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%g3, %x2 : tensor<8xf32>, tensor<8xf32>) outs(%empty : tensor<8xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %r = arith.addf %p, %q : f32
    %s = arith.negf %r : f32
    %t = math.exp %s : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  return %x3 : tensor<8xf32>
}

// -----

// What is read of one layer behind the next is a result of all calls.
// CHECK-LABEL: func.func @step
// CHECK:         %[[FIRST:.*]]:2 = call @repeated_0
// CHECK-COUNT-3: call @repeated_0
// CHECK:         linalg.generic {{.*}} ins(%[[FIRST]]#0
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
  %last = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a0 : tensor<8xf32>) outs(%x3 : tensor<8xf32>) {
  ^bb0(%p: f32, %out: f32):
    %r = arith.addf %p, %out : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %last : tensor<8xf32>
}
