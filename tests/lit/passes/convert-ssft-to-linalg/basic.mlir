// RUN: ssft-opt %s --convert-ssft-to-linalg | filecheck %s
// RUN: ssft-opt %s --convert-ssft-to-linalg=keep-barriers=true | filecheck %s --check-prefix=BARRIER
// RUN: ssft-opt %s --convert-ssft-to-linalg --linalg-generalize-named-ops --canonicalize --cse | filecheck %s --check-prefix=FOLDED
// RUN: ssft-opt %s --convert-ssft-to-linalg --mlir-print-debuginfo --mlir-print-local-scope | filecheck %s --check-prefix=LOC

// CHECK-DAG: #[[IDENTITY:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[FIRST:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG: #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>

// CHECK-LABEL: func.func @gather
// CHECK-SAME:    (%[[X:.*]]: tensor<8x6xf32>, %[[I:.*]]: tensor<3xi64>)
// CHECK:         %[[E:.*]] = tensor.empty() : tensor<3x6xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[FIRST]], #[[IDENTITY]]], iterator_types = ["parallel", "parallel"]}
// CHECK-SAME:      ins(%[[I]] : tensor<3xi64>) outs(%[[E]] : tensor<3x6xf32>)
// CHECK:         ^bb0(%[[POSITION:.*]]: i64, %{{.*}}: f32):
// CHECK:           %[[COLUMN:.*]] = linalg.index 1
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[POSITION]]
// CHECK:           %[[V:.*]] = tensor.extract %[[X]][%[[ROW]], %[[COLUMN]]]
// CHECK:           linalg.yield %[[V]]
func.func @gather(%x: tensor<8x6xf32>, %i: tensor<3xi64>) -> tensor<3x6xf32> {
  %r = "ssft.gather"(%x, %i) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<3xi64>) -> tensor<3x6xf32>
  return %r : tensor<3x6xf32>
}

// CHECK-LABEL: func.func @scatter_add
// CHECK-SAME:    (%[[X:.*]]: tensor<8x6xf32>, %[[I:.*]]: tensor<3xi64>, %[[U:.*]]: tensor<3x6xf32>)
// CHECK:         %[[COUNT:.*]] = arith.constant 3 : index
// CHECK:         %[[R:.*]] = scf.for %[[J:.*]] = %{{.*}} to %[[COUNT]] step %{{.*}} iter_args(%[[D:.*]] = %[[X]])
// CHECK:           %[[I64:.*]] = tensor.extract %[[I]][%[[J]]]
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[I64]]
// CHECK:           %[[NEW:.*]] = tensor.extract_slice %[[U]][%[[J]], 0] [1, 6] [1, 1]
// CHECK:           %[[OLD:.*]] = tensor.extract_slice %[[D]][%[[ROW]], 0] [1, 6] [1, 1]
// CHECK:           %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[NEW]] : tensor<1x6xf32>) outs(%[[OLD]] : tensor<1x6xf32>)
// CHECK:             arith.addf
// CHECK:           %[[NEXT:.*]] = tensor.insert_slice %[[SUM]] into %[[D]][%[[ROW]], 0] [1, 6] [1, 1]
// CHECK:           scf.yield %[[NEXT]]
// CHECK:         return %[[R]]
func.func @scatter_add(%x: tensor<8x6xf32>, %i: tensor<3xi64>, %u: tensor<3x6xf32>) -> tensor<8x6xf32> {
  %r = "ssft.scatter_add"(%x, %i, %u) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<3xi64>, tensor<3x6xf32>) -> tensor<8x6xf32>
  return %r : tensor<8x6xf32>
}

// CHECK-LABEL: func.func @scatter_add_of_integers
// CHECK:         linalg.generic
// CHECK:           arith.addi
func.func @scatter_add_of_integers(%x: tensor<8xi32>, %i: tensor<3xi64>, %u: tensor<3xi32>) -> tensor<8xi32> {
  %r = "ssft.scatter_add"(%x, %i, %u) {dim = 0 : i64} : (tensor<8xi32>, tensor<3xi64>, tensor<3xi32>) -> tensor<8xi32>
  return %r : tensor<8xi32>
}

// A loop over one index would be folded away, and the index is known only when the step runs: the loop
// goes over the other dimension.
// CHECK-LABEL: func.func @scatter_one
// CHECK-SAME:    (%[[X:.*]]: tensor<8x6xf32>, %[[I:.*]]: tensor<1xi64>, %[[S:.*]]: tensor<1x6xf32>)
// CHECK:         %[[COUNT:.*]] = arith.constant 6 : index
// CHECK:         scf.for %[[J:.*]] = %{{.*}} to %[[COUNT]] step %{{.*}} iter_args(%[[D:.*]] = %[[X]])
// CHECK:           %[[I64:.*]] = tensor.extract %[[I]]
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[I64]]
// CHECK:           %[[NEW:.*]] = tensor.extract_slice %[[S]][0, %[[J]]] [1, 1] [1, 1]
// CHECK:           %[[LINE:.*]] = tensor.extract_slice %[[D]][0, %[[J]]] [8, 1] [1, 1]
// CHECK:           %[[OLD:.*]] = tensor.extract_slice %[[LINE]][%[[ROW]], 0] [1, 1] [1, 1]
// CHECK:           linalg.copy ins(%[[NEW]] : tensor<1x1xf32>) outs(%[[OLD]] : tensor<1x1xf32>)
func.func @scatter_one(%x: tensor<8x6xf32>, %i: tensor<1xi64>, %s: tensor<1x6xf32>) -> tensor<8x6xf32> {
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<1xi64>, tensor<1x6xf32>) -> tensor<8x6xf32>
  return %r : tensor<8x6xf32>
}

// Where there is no other dimension every position is compared with the index.
// CHECK-LABEL: func.func @scatter_add_one_of_a_vector
// CHECK-NOT:     scf.for
// CHECK:         linalg.generic
// CHECK:           %[[HERE:.*]] = linalg.index 0
// CHECK:           %[[IS:.*]] = arith.cmpi eq, %[[HERE]], %{{.*}}
// CHECK:           %[[SUM:.*]] = arith.addf
// CHECK:           arith.select %[[IS]], %[[SUM]]
func.func @scatter_add_one_of_a_vector(%x: tensor<8xf32>, %i: tensor<1xi64>, %s: tensor<1xf32>) -> tensor<8xf32> {
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<8xf32>, tensor<1xi64>, tensor<1xf32>) -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// The copy is what lets the memory of the source be reused; canonicalization must not fold it.
// CHECK-LABEL: func.func @save_slice
// CHECK-SAME:    (%[[X:.*]]: tensor<4x8xf32>)
// CHECK:         %[[S:.*]] = tensor.extract_slice %[[X]][0, 3] [4, 2] [1, 1]
// CHECK:         %[[R:.*]] = bufferization.alloc_tensor() copy(%[[S]]) : tensor<4x2xf32>
// CHECK:         return %[[R]]
// FOLDED-LABEL: func.func @save_slice
// FOLDED:         %[[R:.*]] = bufferization.alloc_tensor() copy(%{{.*}}) : tensor<4x2xf32>
// FOLDED:         return %[[R]]
func.func @save_slice(%x: tensor<4x8xf32>) -> tensor<4x2xf32> {
  %r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 3 : i64, size = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x2xf32>
  return %r : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @weight_grad
// CHECK-SAME:    (%[[DY:.*]]: tensor<2x4x8xf32>, %[[X:.*]]: tensor<2x4x3xf32>)
// CHECK-DAG:     %[[DYF:.*]] = tensor.collapse_shape %[[DY]] {{\[\[}}0, 1], [2]]
// CHECK-DAG:     %[[XF:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]]
// CHECK:         %[[ZERO:.*]] = linalg.fill
// CHECK:         %[[R:.*]] = linalg.matmul indexing_maps = [#[[LHS]], #[[RHS]], #[[OUT]]]
// CHECK-SAME:      ins(%[[DYF]], %[[XF]] : tensor<8x8xf32>, tensor<8x3xf32>) outs(%[[ZERO]] : tensor<8x3xf32>)
// CHECK:         return %[[R]]
func.func @weight_grad(%dy: tensor<2x4x8xf32>, %x: tensor<2x4x3xf32>) -> tensor<8x3xf32> {
  %r = "ssft.weight_grad"(%dy, %x) : (tensor<2x4x8xf32>, tensor<2x4x3xf32>) -> tensor<8x3xf32>
  return %r : tensor<8x3xf32>
}

// Two token dimensions are one already: nothing to flatten. The sum is in the result's type.
// CHECK-LABEL: func.func @weight_grad_accumulates_in_f32
// CHECK-NOT:     tensor.collapse_shape
// CHECK:         linalg.matmul {{.*}} ins({{.*}} : tensor<4x8xbf16>, tensor<4x3xbf16>) outs({{.*}} : tensor<8x3xf32>)
func.func @weight_grad_accumulates_in_f32(%dy: tensor<4x8xbf16>, %x: tensor<4x3xbf16>) -> tensor<8x3xf32> {
  %r = "ssft.weight_grad"(%dy, %x) : (tensor<4x8xbf16>, tensor<4x3xbf16>) -> tensor<8x3xf32>
  return %r : tensor<8x3xf32>
}

// Destinations are the weight and the state; the gradients come first in the body.
// CHECK-LABEL: func.func @update
// CHECK-SAME:    (%[[W:.*]]: tensor<4x2xf32>, %[[M:.*]]: tensor<4x2xf32>, %[[G:.*]]: tensor<4x2xf32>)
// CHECK:         %[[R:.*]]:2 = linalg.generic
// CHECK-SAME:      ins(%[[G]] : tensor<4x2xf32>) outs(%[[W]], %[[M]] : tensor<4x2xf32>, tensor<4x2xf32>)
// CHECK:         ^bb0(%[[GE:.*]]: f32, %[[WE:.*]]: f32, %[[ME:.*]]: f32):
// CHECK:           %[[MN:.*]] = arith.addf %[[ME]], %[[GE]]
// CHECK:           %[[WN:.*]] = arith.subf %[[WE]], %[[MN]]
// CHECK:           linalg.yield %[[WN]], %[[MN]]
// CHECK:         return %[[R]]#0, %[[R]]#1
func.func @update(%w: tensor<4x2xf32>, %m: tensor<4x2xf32>, %g: tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>) {
  %r:2 = "ssft.update"(%w, %m, %g) ({
  ^bb0(%we: f32, %me: f32, %ge: f32):
    %mn = arith.addf %me, %ge : f32
    %wn = arith.subf %we, %mn : f32
    "ssft.yield"(%wn, %mn) : (f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>)
  return %r#0, %r#1 : tensor<4x2xf32>, tensor<4x2xf32>
}

// What is built for an operation has its location; what is moved keeps its own.
// LOC-LABEL: func.func @keeps_locations
// LOC:         linalg.generic
// LOC:           arith.subf {{.*}} loc("model.py":2:2)
// LOC:         } -> tensor<4xf32> loc("model.py":1:1)
func.func @keeps_locations(%w: tensor<4xf32>) -> tensor<4xf32> {
  %r = "ssft.update"(%w, %w) ({
  ^bb0(%we: f32, %ge: f32):
    %wn = arith.subf %we, %ge : f32 loc("model.py":2:2)
    "ssft.yield"(%wn) : (f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> loc("model.py":1:1)
  return %r : tensor<4xf32>
}

// BARRIER-LABEL: func.func @barrier
// BARRIER:         "ssft.barrier"
// CHECK-LABEL: func.func @barrier
// CHECK-SAME:    (%[[X:.*]]: tensor<4x8xf32>)
// CHECK-NEXT:    return %[[X]]
func.func @barrier(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %r = "ssft.barrier"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}
