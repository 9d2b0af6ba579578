// RUN: ssft-opt %s --cpu-write-in-place -split-input-file | filecheck %s

// A generic operation that does not read its destination gets the argument as destination.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8xf32>
// CHECK:         %[[NEW:.*]] = linalg.generic {{.*}} outs(%[[W]] :
// CHECK:         return %[[NEW]]
#i = affine_map<(d0) -> (d0)>
func.func @step(
    %w: tensor<8xf32> {ssft.role = "trainable", ssft.name = "w"}
) -> (tensor<8xf32> {ssft.updates_arg = 0 : i64}) {
  %e = tensor.empty() : tensor<8xf32>
  %new = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%w : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.negf %a : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %new : tensor<8xf32>
}

// -----

// A row of a table that is added to and put back is added to where it lies.
// CHECK-LABEL: func.func @step
// CHECK:         scf.for
// CHECK:           %[[ROW:.*]] = tensor.extract_slice
// CHECK:           linalg.generic {{.*}} outs(%[[ROW]] :
#i = affine_map<(d0) -> (d0)>
func.func @step(
    %t: tensor<4x8xf32> {ssft.role = "trainable", ssft.name = "t"},
    %u: tensor<8xf32> {ssft.role = "input", ssft.name = "u"}
) -> (tensor<4x8xf32> {ssft.updates_arg = 0 : i64}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %new = scf.for %j = %c0 to %c4 step %c1 iter_args(%dest = %t) -> tensor<4x8xf32> {
    %row = tensor.extract_slice %dest[%j, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<8xf32>
    %e = tensor.empty() : tensor<8xf32>
    %sum = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
        ins(%u, %row : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %put = tensor.insert_slice %sum into %dest[%j, 0] [1, 8] [1, 1] : tensor<8xf32> into tensor<4x8xf32>
    scf.yield %put : tensor<4x8xf32>
  }
  return %new : tensor<4x8xf32>
}
