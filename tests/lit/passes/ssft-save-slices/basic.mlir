// RUN: ssft-opt %s --ssft-save-slices -split-input-file | filecheck %s

// A slice of two dimensions is taken one dimension after the other.
// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:         %[[ROWS:.*]] = "ssft.save_slice"(%[[P]]) {dim = 0 : i64, offset = 1 : i64, size = 2 : i64}
// CHECK:         %[[BLOCK:.*]] = "ssft.save_slice"(%[[ROWS]]) {dim = 1 : i64, offset = 2 : i64, size = 2 : i64}
// CHECK:         linalg.generic
// CHECK:         return %{{.*}}, %[[BLOCK]]
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = tensor.extract_slice %p[1, 2] [2, 2] [1, 1] : tensor<3x6xf32> to tensor<2x2xf32>
  return %loss, %s : tensor<f32>, tensor<2x2xf32>
}

// -----

// A gather is materialised already; it moves to the activation, and its indices with it.
// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:         %[[INDICES:.*]] = arith.constant dense<[1, 4]> : tensor<2xi64>
// CHECK:         %[[SAVED:.*]] = "ssft.gather"(%[[P]], %[[INDICES]]) {dim = 1 : i64}
// CHECK:         linalg.generic
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[SAVED]])
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %i = arith.constant dense<[1, 4]> : tensor<2xi64>
  %s = "ssft.gather"(%p, %i) {dim = 1 : i64} : (tensor<3x6xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  %g = "ssft.weight_grad"(%dy, %s) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  return %loss, %g : tensor<f32>, tensor<4x2xf32>
}

// -----

// So does a gather by an index list that is an argument.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[INDICES:[a-z0-9]+]]: tensor<2xi64>
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:         %[[SAVED:.*]] = "ssft.gather"(%[[P]], %[[INDICES]]) {dim = 1 : i64}
// CHECK:         linalg.generic
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[SAVED]])
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %i: tensor<2xi64> {ssft.role = "index", ssft.name = "w:columns", ssft.range = array<i64: 0, 6>, ssft.indices = array<i64: 1, 4>},
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = "ssft.gather"(%p, %i) {dim = 1 : i64} : (tensor<3x6xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  %g = "ssft.weight_grad"(%dy, %s) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  return %loss, %g : tensor<f32>, tensor<4x2xf32>
}

// -----

// One constant that two gathers of different activations share: each gets its own.
// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      math.tanh
// CHECK:         %[[I:.*]] = arith.constant dense<[1, 4]>
// CHECK:         "ssft.gather"(%[[P]], %[[I]])
// CHECK:         %[[Q:.*]] = linalg.generic
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      math.exp
// CHECK:         %[[J:.*]] = arith.constant dense<[1, 4]>
// CHECK:         "ssft.gather"(%[[Q]], %[[J]])
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %q = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%q : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %i = arith.constant dense<[1, 4]> : tensor<2xi64>
  %s = "ssft.gather"(%p, %i) {dim = 1 : i64} : (tensor<3x6xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  %t = "ssft.gather"(%q, %i) {dim = 1 : i64} : (tensor<3x6xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  %g = "ssft.weight_grad"(%s, %t) : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
  return %loss, %g : tensor<f32>, tensor<2x2xf32>
}

// -----

// A slice of a view that the forward pass makes.
// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:         %[[FLAT:.*]] = tensor.collapse_shape %[[P]]
// CHECK:         %[[SAVED:.*]] = "ssft.save_slice"(%[[FLAT]]) {dim = 0 : i64, offset = 4 : i64, size = 8 : i64}
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         return %{{.*}}, %[[SAVED]]
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<8xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %flat = tensor.collapse_shape %p [[0, 1]] : tensor<3x6xf32> into tensor<18xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %s = tensor.extract_slice %flat[4] [8] [1] : tensor<18xf32> to tensor<8xf32>
  return %loss, %s : tensor<f32>, tensor<8xf32>
}

// -----

// A slice along one dimension, then a gather along the other: both move.
// CHECK-LABEL: func.func @step
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:         %[[ROWS:.*]] = "ssft.save_slice"(%[[P]]) {dim = 0 : i64, offset = 1 : i64, size = 2 : i64}
// CHECK:         %[[BLOCK:.*]] = "ssft.gather"(%[[ROWS]], %{{.*}}) {dim = 1 : i64}
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         return %{{.*}}, %[[BLOCK]]
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %rows = tensor.extract_slice %p[1, 0] [2, 6] [1, 1] : tensor<3x6xf32> to tensor<2x6xf32>
  %i = arith.constant dense<[1, 4]> : tensor<2xi64>
  %s = "ssft.gather"(%rows, %i) {dim = 1 : i64} : (tensor<2x6xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  return %loss, %s : tensor<f32>, tensor<2x2xf32>
}
