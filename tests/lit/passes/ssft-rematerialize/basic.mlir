// RUN: ssft-opt %s --ssft-rematerialize -split-input-file | filecheck %s
// RUN: ssft-opt %s --ssft-rematerialize=limit=1 -split-input-file | filecheck %s --check-prefix=LIMIT

// A value that is saved anyway, here for another gradient, is a source, too.
// CHECK-LABEL: func.func @step
// CHECK:         %[[H:.*]] = linalg.matmul
// CHECK:           math.tanh
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         %[[P:.*]] = linalg.generic {{.*}} ins(%[[H]] :
// CHECK:           math.tanh
// CHECK:         "ssft.weight_grad"(%[[H]], %[[P]])
// CHECK-NOT:     linalg.matmul
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<6x6xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %dest = arith.constant dense<0.0> : tensor<3x6xf32>
  %h = linalg.matmul ins(%x, %w : tensor<3x6xf32>, tensor<6x6xf32>) outs(%dest : tensor<3x6xf32>) -> tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%h : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
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
  %g = "ssft.weight_grad"(%h, %p) : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<6x6xf32>
  return %loss, %g : tensor<f32>, tensor<6x6xf32>
}

// -----

// LIMIT-LABEL: func.func @step
// LIMIT:         "ssft.weight_grad"
// LIMIT-LABEL: func.func @step
// LIMIT-NOT:     ssft.recomputed
// LIMIT:         return

// A chain of operations, and a view of its result that the forward pass made; too long a chain for
// the limit of one operation.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         %[[P:.*]] = linalg.generic {{.*}} ins(%[[X]] :
// CHECK:           math.exp
// CHECK:         %[[Q:.*]] = linalg.generic {{.*}} ins(%[[P]] :
// CHECK:           math.tanh
// CHECK:         %[[FLAT:.*]] = tensor.collapse_shape %[[Q]]
// CHECK-SAME:      ssft.recomputed
// CHECK:         return %{{.*}}, %{{.*}}
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<18xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %q = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.tanh %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %flat = tensor.collapse_shape %q [[0, 1]] : tensor<3x6xf32> into tensor<18xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%q : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = arith.mulf %flat, %flat : tensor<18xf32>
  return %loss, %g : tensor<f32>, tensor<18xf32>
}

// -----

// LIMIT-LABEL: func.func @step

// A value that was widened is kept as narrow as it was, and not as what it was narrowed from.
// CHECK-LABEL: func.func @step
// CHECK:         %[[H:.*]] = linalg.matmul
// CHECK:         %[[NARROW:.*]] = linalg.generic {{.*}} ins(%[[H]] :
// CHECK:           arith.truncf
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK:         %[[WIDE:.*]] = linalg.generic {{.*}} ins(%[[NARROW]] :
// CHECK-SAME:      ssft.recomputed
// CHECK:           arith.extf
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[WIDE]])
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %half = tensor.empty() : tensor<3x6xbf16>
  %dest = arith.constant dense<0.0> : tensor<3x6xf32>
  %h = linalg.matmul ins(%x, %w : tensor<3x6xf32>, tensor<6x6xf32>) outs(%dest : tensor<3x6xf32>) -> tensor<3x6xf32>
  %narrow = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%h : tensor<3x6xf32>) outs(%half : tensor<3x6xbf16>) {
  ^bb0(%a: f32, %out: bf16):
    %r = arith.truncf %a : f32 to bf16
    linalg.yield %r : bf16
  } -> tensor<3x6xbf16>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%narrow : tensor<3x6xbf16>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: bf16, %out: f32):
    %r = arith.extf %a : bf16 to f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%wide : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = "ssft.weight_grad"(%dy, %wide) : (tensor<3x4xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %loss, %g : tensor<f32>, tensor<4x6xf32>
}
