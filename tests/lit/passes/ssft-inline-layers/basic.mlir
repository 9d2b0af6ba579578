// RUN: ssft-opt %s --ssft-inline-layers -split-input-file --mlir-print-debuginfo --mlir-print-local-scope | filecheck %s

// Attributes come from the calls, locations from the function.
// CHECK-LABEL: func.func @step
// CHECK:         %[[A:.*]] = arith.negf %{{.*}} {ssft.tile = {rows = array<i64: 1>}} : tensor<4xf32> loc("layer.py":1:2)
// CHECK-NEXT:    %[[B:.*]] = arith.negf %[[A]] {ssft.permuted = ["4"]} : tensor<4xf32> loc("layer.py":1:2)
// CHECK-NEXT:    return %[[B]]
func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<4xf32> {ssft.role = "loss"}) {
  %a = call @repeated_0(%x) {ssft.slots = [{ssft.tile = {rows = array<i64: 1>}}]} : (tensor<4xf32>) -> tensor<4xf32>
  %b = call @repeated_0(%a) {ssft.slots = [{ssft.permuted = ["4"]}]} : (tensor<4xf32>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}
func.func private @repeated_0(%x: tensor<4xf32>) -> tensor<4xf32> attributes {ssft.outlined} {
  %r = arith.negf %x {ssft.slot = 0 : i64} : tensor<4xf32> loc("layer.py":1:2)
  return %r : tensor<4xf32>
}

// -----

// A constant that the step does not have before the first call comes first.
// CHECK-LABEL: func.func @step
// CHECK-NEXT:    %[[ONE:.*]] = arith.constant dense<1.0
// CHECK-NEXT:    arith.addf %{{.*}}, %[[ONE]]
// CHECK-NEXT:    arith.constant dense<1.0
// CHECK-NEXT:    arith.addf
func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<4xf32> {ssft.role = "loss"}) {
  %a = call @repeated_0(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %b = arith.addf %a, %one : tensor<4xf32>
  return %b : tensor<4xf32>
}
func.func private @repeated_0(%x: tensor<4xf32>) -> tensor<4xf32> attributes {ssft.outlined} {
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %r = arith.addf %x, %one : tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// Arguments may be returned, results unused, and two functions called in turn.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<4xf32>
// CHECK-NEXT:    %[[A:.*]] = math.exp %[[X]]
// CHECK-NEXT:    arith.negf %[[X]]
// CHECK-NEXT:    %[[B:.*]] = math.exp %[[X]]
// CHECK-NEXT:    return %[[B]]
func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"}) -> (tensor<4xf32> {ssft.role = "loss"}) {
  %a:2 = call @repeated_0(%x) : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  %b = call @repeated_1(%a#1) : (tensor<4xf32>) -> tensor<4xf32>
  %c:2 = call @repeated_0(%a#1) : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return %c#0 : tensor<4xf32>
}
func.func private @repeated_0(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) attributes {ssft.outlined} {
  %r = math.exp %x : tensor<4xf32>
  return %r, %x : tensor<4xf32>, tensor<4xf32>
}
func.func private @repeated_1(%x: tensor<4xf32>) -> tensor<4xf32> attributes {ssft.outlined} {
  %r = arith.negf %x : tensor<4xf32>
  return %r : tensor<4xf32>
}
