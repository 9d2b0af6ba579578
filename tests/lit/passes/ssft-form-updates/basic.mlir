// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-form-updates,canonicalize)' -split-input-file | filecheck %s

// Momentum: the new state is a result of its own, and the weight's program shares its computation.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32> {ssft.name = "b"
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<8xf32> {ssft.name = "b"
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<8xf32> {ssft.name = "g"
// CHECK:         %[[NEW:.*]]:2 = "ssft.update"(%[[W]], %[[M]], %[[G]]) ({
// CHECK-NEXT:    ^bb0(%[[WE:.*]]: f32, %[[ME:.*]]: f32, %[[GE:.*]]: f32):
// CHECK-NEXT:      %[[MOMENT:.*]] = arith.addf %[[ME]], %[[GE]] : f32
// CHECK-NEXT:      %[[NE:.*]] = arith.subf %[[WE]], %[[MOMENT]] : f32
// CHECK-NEXT:      "ssft.yield"(%[[NE]], %[[MOMENT]]) : (f32, f32) -> ()
// CHECK:         operandSegmentSizes = array<i32: 1, 1, 1>
// CHECK:         return %[[NEW]]#1, %[[NEW]]#0
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %m: tensor<8xf32> {ssft.role = "state", ssft.name = "b", ssft.state = "momentum_buffer"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 1 : i64}, tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %moment = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%m, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %moment : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %moment, %new : tensor<8xf32>, tensor<8xf32>
}

// -----

// A bf16 weight with an f32 state: each keeps its element type.
// CHECK-LABEL: func.func @step
// CHECK:         "ssft.update"(%{{.*}}, %{{.*}}, %{{.*}}) ({
// CHECK-NEXT:    ^bb0(%[[WE:.*]]: bf16, %[[ME:.*]]: f32, %[[GE:.*]]: bf16):
// CHECK:         "ssft.yield"(%{{.*}}, %{{.*}}) : (bf16, f32) -> ()
// CHECK:         (tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>) -> (tensor<8xbf16>, tensor<8xf32>)
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xbf16> {ssft.role = "trainable", ssft.name = "b"},
    %m: tensor<8xf32> {ssft.role = "state", ssft.name = "b", ssft.state = "momentum_buffer"},
    %g: tensor<8xbf16> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xbf16> {ssft.updates_arg = 0 : i64}, tensor<8xf32> {ssft.updates_arg = 1 : i64}) {
  %em = tensor.empty() : tensor<8xf32>
  %moment = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%m, %g : tensor<8xf32>, tensor<8xbf16>) outs(%em : tensor<8xf32>) {
  ^bb0(%a: f32, %b: bf16, %out: f32):
    %wide = arith.extf %b : bf16 to f32
    %r = arith.addf %a, %wide : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %e = tensor.empty() : tensor<8xbf16>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %moment : tensor<8xbf16>, tensor<8xf32>) outs(%e : tensor<8xbf16>) {
  ^bb0(%a: bf16, %b: f32, %out: bf16):
    %narrow = arith.truncf %b : f32 to bf16
    %r = arith.subf %a, %narrow : bf16
    linalg.yield %r : bf16
  } -> tensor<8xbf16>
  return %new, %moment : tensor<8xbf16>, tensor<8xf32>
}

// -----

// Tensors that are alike everywhere, filled or constant, become scalar constants.
// CHECK-LABEL: func.func @step
// CHECK-DAG:     %[[HALF:.*]] = arith.constant 5.000000e-01 : f32
// CHECK-DAG:     %[[QUARTER:.*]] = arith.constant 2.500000e-01 : f32
// CHECK-NOT:     tensor
// CHECK:         "ssft.update"(%{{.*}}, %{{.*}}) ({
// CHECK-NEXT:    ^bb0(%[[WE:.*]]: f32, %[[GE:.*]]: f32):
// CHECK-DAG:       arith.mulf %[[GE]], %[[HALF]] : f32
// CHECK-DAG:       arith.mulf %[[WE]], %[[QUARTER]] : f32
// CHECK:         }) {operandSegmentSizes = array<i32: 1, 0, 1>}
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %half = arith.constant dense<5.0e-01> : tensor<8xf32>
  %quarter = arith.constant 2.5e-01 : f32
  %e = tensor.empty() : tensor<8xf32>
  %quarters = linalg.fill ins(%quarter : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g, %half, %quarters : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32, %out: f32):
    %p = arith.mulf %b, %c : f32
    %q = arith.mulf %a, %d : f32
    %r = arith.subf %q, %p : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A tied weight: both of its gradients become operands, their sum a part of the program.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32> {{.*}} %[[A:[a-z0-9]+]]: tensor<8xf32> {{.*}} %[[B:[a-z0-9]+]]: tensor<8xf32>
// CHECK:         "ssft.update"(%[[W]], %[[A]], %[[B]]) ({
// CHECK-NEXT:    ^bb0(%{{.*}}: f32, %[[AE:.*]]: f32, %[[BE:.*]]: f32):
// CHECK-NEXT:      arith.addf %[[AE]], %[[BE]] : f32
// CHECK:         operandSegmentSizes = array<i32: 1, 0, 2>
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %ga: tensor<8xf32> {ssft.role = "input", ssft.name = "ga"},
    %gb: tensor<8xf32> {ssft.role = "input", ssft.name = "gb"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %g = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%ga, %gb : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A scalar that is computed from the gradient, here a sum as for clipping, is read from outside;
// the sum itself stays.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32> {{.*}} %[[G:[a-z0-9]+]]: tensor<8xf32>
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%[[G]] :
// CHECK:         %[[COEFFICIENT:.*]] = tensor.extract %[[SUM]][] : tensor<f32>
// CHECK:         "ssft.update"(%[[W]], %[[G]]) ({
// CHECK:           arith.mulf %{{.*}}, %[[COEFFICIENT]] : f32
#id = affine_map<(i) -> (i)>
#scalar = affine_map<(i) -> ()>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"},
    %init: tensor<f32> {ssft.role = "input", ssft.name = "init"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %sum = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction"]}
      ins(%g : tensor<8xf32>) outs(%init : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #scalar, #id], iterator_types = ["parallel"]}
      ins(%w, %g, %sum : tensor<8xf32>, tensor<8xf32>, tensor<f32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %out: f32):
    %p = arith.mulf %b, %c : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A scalar that the body takes from outside the operation stays a scalar from outside.
// CHECK-LABEL: func.func @step
// CHECK:         %[[RATE:.*]] = tensor.extract
// CHECK:         "ssft.update"
// CHECK:           arith.mulf %{{.*}}, %[[RATE]] : f32
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"},
    %lr: tensor<f32> {ssft.role = "hyper", ssft.name = "lr"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %rate = tensor.extract %lr[] : tensor<f32>
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %p = arith.mulf %b, %rate : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A result with role `gradient` says which value is the gradient: what it is computed from, element by
// element, stays outside. The result is dropped.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32> {{.*}} %[[G:[a-z0-9]+]]: tensor<8xf32>
// CHECK-SAME:    -> (tensor<8xf32> {ssft.updates_arg = 0 : i64})
// CHECK:         %[[DOUBLE:.*]] = linalg.generic {{.*}} ins(%[[G]] :
// CHECK:         %[[NEW:.*]] = "ssft.update"(%[[W]], %[[DOUBLE]]) ({
// CHECK-NOT:       arith.addf
// CHECK:           "ssft.yield"
// CHECK:         return %[[NEW]] : tensor<8xf32>
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}, tensor<8xf32> {ssft.role = "gradient", ssft.name = "b"}) {
  %e = tensor.empty() : tensor<8xf32>
  %double = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%g : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %a : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %double : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new, %double : tensor<8xf32>, tensor<8xf32>
}

// -----

// A scalar parameter: the learning rate has its shape, too, and only the named gradient is one.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<f32> {{.*}} %[[LR:[a-z0-9]+]]: tensor<f32> {{.*}} %[[G:[a-z0-9]+]]: tensor<f32>
// CHECK:         %[[RATE:.*]] = tensor.extract %[[LR]][] : tensor<f32>
// CHECK:         "ssft.update"(%[[W]], %[[G]]) ({
// CHECK-NEXT:    ^bb0(%{{.*}}: f32, %[[GE:.*]]: f32):
// CHECK-NEXT:      arith.mulf %[[GE]], %[[RATE]] : f32
#id = affine_map<() -> ()>
func.func @step(
    %w: tensor<f32> {ssft.role = "trainable", ssft.name = "scale"},
    %lr: tensor<f32> {ssft.role = "hyper", ssft.name = "lr"},
    %g: tensor<f32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<f32> {ssft.updates_arg = 0 : i64}, tensor<f32> {ssft.role = "gradient", ssft.name = "scale"}) {
  %e = tensor.empty() : tensor<f32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = []}
      ins(%w, %g, %lr : tensor<f32>, tensor<f32>, tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %out: f32):
    %p = arith.mulf %b, %c : f32
    %r = arith.subf %a, %p : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %new, %g : tensor<f32>, tensor<f32>
}

// -----

// A regularised weight whose gradient is known: what makes the gradient is no part of the program,
// and the result that named it goes.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    -> (tensor<8xf32> {ssft.updates_arg = 0 : i64})
// CHECK:         %[[SUM:.*]] = linalg.generic
// CHECK:         "ssft.update"(%{{.*}}, %[[SUM]]) ({
// CHECK-NEXT:    ^bb0(%[[WE:.*]]: f32, %[[GE:.*]]: f32):
// CHECK-NEXT:      arith.subf %[[WE]], %[[GE]] : f32
// CHECK:         operandSegmentSizes = array<i32: 1, 0, 1>
#id = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "b"},
    %g: tensor<8xf32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}, tensor<8xf32> {ssft.role = "gradient", ssft.name = "b"}) {
  %e = tensor.empty() : tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %g : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%w, %sum : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new, %sum : tensor<8xf32>, tensor<8xf32>
}

// -----

// A scalar parameter: of its operands only the known gradient is one, the rate is a scalar.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<f32> {{.*}} %[[LR:[a-z0-9]+]]: tensor<f32> {{.*}} %[[G:[a-z0-9]+]]: tensor<f32>
// CHECK:         %[[RATE:.*]] = tensor.extract %[[LR]][]
// CHECK:         "ssft.update"(%[[W]], %[[G]]) ({
// CHECK:           arith.mulf %{{.*}}, %[[RATE]] : f32
#none = affine_map<() -> ()>
func.func @step(
    %w: tensor<f32> {ssft.role = "trainable", ssft.name = "scale"},
    %lr: tensor<f32> {ssft.role = "hyper", ssft.name = "lr"},
    %g: tensor<f32> {ssft.role = "input", ssft.name = "g"}
) -> (tensor<f32> {ssft.updates_arg = 0 : i64}, tensor<f32> {ssft.role = "gradient", ssft.name = "scale"}) {
  %e = tensor.empty() : tensor<f32>
  %new = linalg.generic {indexing_maps = [#none, #none, #none, #none], iterator_types = []}
      ins(%w, %g, %lr : tensor<f32>, tensor<f32>, tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %out: f32):
    %d = arith.mulf %b, %c : f32
    %r = arith.subf %a, %d : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %new, %g : tensor<f32>, tensor<f32>
}
