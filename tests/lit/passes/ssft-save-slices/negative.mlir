// RUN: ssft-opt %s --ssft-save-slices -split-input-file | filecheck %s

// Something else after the loss reads the whole activation: a copy of a part would only cost memory.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.save_slice
// CHECK:         tensor.extract_slice
// CHECK:         "ssft.weight_grad"
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x6xf32> {ssft.role = "gradient", ssft.name = "w"}) {
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
  %s = tensor.extract_slice %p[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %h = "ssft.weight_grad"(%s, %p) : (tensor<3x2xf32>, tensor<3x6xf32>) -> tensor<2x6xf32>
  return %loss, %h : tensor<f32>, tensor<2x6xf32>
}

// -----

// The reader may see it through a view.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.save_slice
// CHECK:         tensor.extract_slice
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<2x6xf32> {ssft.role = "gradient", ssft.name = "w"}) {
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
  %s = tensor.extract_slice %p[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %e = tensor.expand_shape %p [[0, 1], [2]] output_shape [3, 1, 6] : tensor<3x6xf32> into tensor<3x1x6xf32>
  %s3 = tensor.expand_shape %s [[0, 1], [2]] output_shape [3, 1, 2] : tensor<3x2xf32> into tensor<3x1x2xf32>
  %h = "ssft.weight_grad"(%s3, %e) : (tensor<3x1x2xf32>, tensor<3x1x6xf32>) -> tensor<2x6xf32>
  return %loss, %h : tensor<f32>, tensor<2x6xf32>
}

// -----

// An input of the step is there anyway.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.save_slice
// CHECK:         tensor.extract_slice
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
  %s = tensor.extract_slice %x[0, 2] [3, 2] [1, 1] : tensor<3x6xf32> to tensor<3x2xf32>
  %g = "ssft.weight_grad"(%dy, %s) : (tensor<3x4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  return %loss, %g : tensor<f32>, tensor<4x2xf32>
}

// -----

// A slice of what the backward pass itself computes saves nothing.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.save_slice
// CHECK:         tensor.extract_slice
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
  %all = "ssft.weight_grad"(%dy, %x) : (tensor<3x4xf32>, tensor<3x6xf32>) -> tensor<4x6xf32>
  %g = tensor.extract_slice %all[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  return %loss, %g : tensor<f32>, tensor<4x2xf32>
}

// -----

// The view is made after the loss, and so could not be sliced before.
// CHECK-LABEL: func.func @step
// CHECK-NOT:     ssft.save_slice
// CHECK:         tensor.extract_slice
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
  %loss = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%p : tensor<3x6xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %acc, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %flat = tensor.collapse_shape %p [[0, 1]] : tensor<3x6xf32> into tensor<18xf32>
  %s = tensor.extract_slice %flat[4] [8] [1] : tensor<18xf32> to tensor<8xf32>
  return %loss, %s : tensor<f32>, tensor<8xf32>
}

// -----

// Indices that are computed after the loss.
// CHECK-LABEL: func.func @step
// CHECK:         iterator_types = ["reduction", "reduction"]
// CHECK:         "ssft.gather"
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @step(
    %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"},
    %dy: tensor<3x4xf32> {ssft.role = "input", ssft.name = "dy"},
    %zero: tensor<f32> {ssft.role = "frozen", ssft.name = "zero"}
) -> (tensor<f32> {ssft.role = "loss"}, tensor<3x2xf32> {ssft.role = "gradient", ssft.name = "w"}) {
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
  %c1 = arith.constant dense<1> : tensor<2xi64>
  %i = arith.addi %c1, %c1 : tensor<2xi64>
  %s = "ssft.gather"(%p, %i) {dim = 1 : i64} : (tensor<3x6xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  return %loss, %s : tensor<f32>, tensor<3x2xf32>
}
