// RUN: ssft-opt %s --ssft-rematerialize -split-input-file | filecheck %s

// Products are never computed twice.
// CHECK-LABEL: func.func @step
// CHECK:         %[[H:.*]] = linalg.matmul
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK-NOT:     ssft.recomputed
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[H]])
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %dest = arith.constant dense<0.0> : tensor<3x6xf32>
  %h = linalg.matmul ins(%x, %w : tensor<3x6xf32>, tensor<6x6xf32>) outs(%dest : tensor<3x6xf32>) -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%h : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = "ssft.weight_grad"(%dy, %h) : (tensor<3x4xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %loss, %g : tensor<f32>, tensor<4x6xf32>
}

// -----

// One value is less to keep than the two products that it was computed from.
// CHECK-LABEL: func.func @step
// CHECK:         %[[S:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK-NOT:     ssft.recomputed
// CHECK:         "ssft.weight_grad"(%{{.*}}, %[[S]])
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %dest = arith.constant dense<0.0> : tensor<3x6xf32>
  %h = linalg.matmul ins(%x, %w : tensor<3x6xf32>, tensor<6x6xf32>) outs(%dest : tensor<3x6xf32>) -> tensor<3x6xf32>
  %dest2 = arith.constant dense<0.0> : tensor<3x6xf32>
  %k = linalg.matmul ins(%h, %w : tensor<3x6xf32>, tensor<6x6xf32>) outs(%dest2 : tensor<3x6xf32>) -> tensor<3x6xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%h, %k : tensor<3x6xf32>, tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%s : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = "ssft.weight_grad"(%dy, %s) : (tensor<3x4xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %loss, %g : tensor<f32>, tensor<4x6xf32>
}

// -----

// Sums are not computed twice either.
// CHECK-LABEL: func.func @step
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK-NOT:     ssft.recomputed
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<3xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %start = arith.constant dense<0.0> : tensor<3xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x6xf32>) outs(%start : tensor<3xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = arith.mulf %s, %s : tensor<3xf32>
  return %loss, %g : tensor<f32>, tensor<3xf32>
}

// -----

// What only the forward pass reads is not saved in the first place.
// CHECK-LABEL: func.func @step
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "reduction"]
// CHECK-NOT:     ssft.recomputed
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %w: tensor<6x6xf32> {ssft.role = "frozen", ssft.name = "w"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "g"}) {
  %empty = tensor.empty() : tensor<3x6xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x6xf32>) outs(%empty : tensor<3x6xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<3x6xf32>
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %g = "ssft.weight_grad"(%dy, %x) : (tensor<3x4xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %loss, %g : tensor<f32>, tensor<4x6xf32>
}
