// RUN: ssft-opt %s --pass-pipeline='builtin.module(ssft-fold-transposes,canonicalize)' -split-input-file | filecheck %s
// RUN: ssft-opt %s --ssft-fold-transposes -split-input-file --mlir-print-debuginfo | filecheck %s --check-prefix=LOC

// Both operands of one product are folded.
// CHECK-DAG:   #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG:   #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[A:[a-z0-9]+]]: tensor<5x3xf32>, %[[B:[a-z0-9]+]]: tensor<8x5xf32>, %[[DEST:[a-z0-9]+]]: tensor<3x8xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         %[[Y:.*]] = linalg.matmul indexing_maps = [#[[LHS]], #[[RHS]],
// CHECK-SAME:      ins(%[[A]], %[[B]] : tensor<5x3xf32>, tensor<8x5xf32>) outs(%[[DEST]]
// CHECK:         return %[[Y]]
func.func @step(%a: tensor<5x3xf32>, %b: tensor<8x5xf32>, %dest: tensor<3x8xf32>) -> tensor<3x8xf32> {
  %ea = tensor.empty() : tensor<3x5xf32>
  %ta = linalg.transpose ins(%a : tensor<5x3xf32>) outs(%ea : tensor<3x5xf32>) permutation = [1, 0]
  %eb = tensor.empty() : tensor<5x8xf32>
  %tb = linalg.transpose ins(%b : tensor<8x5xf32>) outs(%eb : tensor<5x8xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%ta, %tb : tensor<3x5xf32>, tensor<5x8xf32>) outs(%dest : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// -----

// The same square matrix, transposed on one side only.
// CHECK-DAG:   #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG:   #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[A:[a-z0-9]+]]: tensor<4x4xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.matmul indexing_maps = [#[[LHS]], #[[RHS]],
// CHECK-SAME:      ins(%[[A]], %[[A]] :
func.func @step(%a: tensor<4x4xf32>, %dest: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %e = tensor.empty() : tensor<4x4xf32>
  %t = linalg.transpose ins(%a : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%a, %t : tensor<4x4xf32>, tensor<4x4xf32>) outs(%dest : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

// A transpose behind a transpose is undone in two steps: the maps are those of the plain product.
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[A:[a-z0-9]+]]: tensor<3x5xf32>, %[[B:[a-z0-9]+]]: tensor<5x8xf32>
// CHECK:         linalg.matmul ins(%[[A]], %[[B]] :
func.func @step(%a: tensor<3x5xf32>, %b: tensor<5x8xf32>, %dest: tensor<3x8xf32>) -> tensor<3x8xf32> {
  %e = tensor.empty() : tensor<5x3xf32>
  %t = linalg.transpose ins(%a : tensor<3x5xf32>) outs(%e : tensor<5x3xf32>) permutation = [1, 0]
  %e2 = tensor.empty() : tensor<3x5xf32>
  %tt = linalg.transpose ins(%t : tensor<5x3xf32>) outs(%e2 : tensor<3x5xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%tt, %b : tensor<3x5xf32>, tensor<5x8xf32>) outs(%dest : tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// -----

// The last two dimensions of a batch of matrices.
// CHECK-DAG:   #[[RHS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<2x3x5xf32>, %[[K:[a-z0-9]+]]: tensor<2x4x5xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.batch_matmul indexing_maps = [#{{.*}}, #[[RHS]], #{{.*}}]
// CHECK-SAME:      ins(%[[Q]], %[[K]] :
func.func @step(%q: tensor<2x3x5xf32>, %k: tensor<2x4x5xf32>, %dest: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %e = tensor.empty() : tensor<2x5x4xf32>
  %t = linalg.transpose ins(%k : tensor<2x4x5xf32>) outs(%e : tensor<2x5x4xf32>) permutation = [0, 2, 1]
  %y = linalg.batch_matmul ins(%q, %t : tensor<2x3x5xf32>, tensor<2x5x4xf32>) outs(%dest : tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// -----

// A transposed result: `(x.T @ g).T` is `g.T @ x`, and the zeros take the new shape.
// CHECK-DAG:   #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG:   #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG:   #[[OUT:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<3x6xf32>, %[[G:[a-z0-9]+]]: tensor<3x8xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         %[[DEST:.*]] = tensor.empty() : tensor<8x6xf32>
// CHECK:         %[[ZEROS:.*]] = linalg.fill {{.*}} outs(%[[DEST]] : tensor<8x6xf32>)
// CHECK:         %[[DW:.*]] = linalg.matmul indexing_maps = [#[[LHS]], #[[RHS]], #[[OUT]]]
// CHECK-SAME:      ins(%[[G]], %[[X]] : tensor<3x8xf32>, tensor<3x6xf32>) outs(%[[ZEROS]] : tensor<8x6xf32>)
// CHECK-NOT:     linalg.matmul
// CHECK:         return %[[DW]] : tensor<8x6xf32>
func.func @step(%x: tensor<3x6xf32>, %g: tensor<3x8xf32>) -> tensor<8x6xf32> {
  %zero = arith.constant 0.0 : f32
  %ex = tensor.empty() : tensor<6x3xf32>
  %tx = linalg.transpose ins(%x : tensor<3x6xf32>) outs(%ex : tensor<6x3xf32>) permutation = [1, 0]
  %dest = tensor.empty() : tensor<6x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%dest : tensor<6x8xf32>) -> tensor<6x8xf32>
  %p = linalg.matmul ins(%tx, %g : tensor<6x3xf32>, tensor<3x8xf32>) outs(%zeros : tensor<6x8xf32>) -> tensor<6x8xf32>
  %e = tensor.empty() : tensor<8x6xf32>
  %dw = linalg.transpose ins(%p : tensor<6x8xf32>) outs(%e : tensor<8x6xf32>) permutation = [1, 0]
  return %dw : tensor<8x6xf32>
}

// -----

// The new product and its zeros are where the old ones were in the user's program.
// LOC-LABEL: func.func @step(%{{.*}}: tensor<3x7xf32>
// LOC:         linalg.matmul {{.*}} loc(#[[LOC:[a-z0-9]+]])
// LOC:       #[[LOC]] = loc("model.py":7:0)
func.func @step(%x: tensor<3x7xf32>, %g: tensor<3x8xf32>) -> tensor<8x7xf32> {
  %zero = arith.constant 0.0 : f32
  %dest = tensor.empty() : tensor<7x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%dest : tensor<7x8xf32>) -> tensor<7x8xf32>
  %tx = tensor.empty() : tensor<7x3xf32>
  %p = linalg.matmul ins(%tx, %g : tensor<7x3xf32>, tensor<3x8xf32>) outs(%zeros : tensor<7x8xf32>) -> tensor<7x8xf32> loc("model.py":7:0)
  %e = tensor.empty() : tensor<8x7xf32>
  %dw = linalg.transpose ins(%p : tensor<7x8xf32>) outs(%e : tensor<8x7xf32>) permutation = [1, 0]
  return %dw : tensor<8x7xf32>
}
