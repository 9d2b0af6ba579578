// RUN: ssft-opt %s --cse --canonicalize --mlir-print-ir-after=cse 2>&1 >%t | filecheck %s --check-prefix=ONE
// RUN: ssft-opt %s --pass-pipeline='builtin.module(func.func(cse,canonicalize))' --mlir-print-ir-before=canonicalize -o %t 2>&1 | filecheck %s --check-prefix=NESTED
// RUN: ssft-opt %s --cse --convert-ssft-to-linalg --mlir-print-ir-before-all --mlir-print-ir-after-all -o %t 2>&1 | filecheck %s --check-prefix=ALL
// RUN: ssft-opt %s --canonicalize --cse --mlir-print-ir-after-change -o %t 2>&1 | filecheck %s --check-prefix=CHANGE
// RUN: not ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --cse --test-fail --mlir-print-ir-after-failure 2>&1 | filecheck %s --check-prefix=FAILURE
// RUN: ssft-opt %s --cse --mlir-print-ir-after-all --mlir-print-op-generic --mlir-print-debuginfo -o %t 2>&1 | filecheck %s --check-prefix=GENERIC
// RUN: ssft-opt %s --cse --mlir-print-ir-tree-dir=%t.dir -o %t
// RUN: ssft-opt %t.dir/builtin_module_no-symbol-name/0_cse.mlir | filecheck %s --check-prefix=TREE

// ONE-NOT:  Before
// ONE:      // -----// IR Dump After cse //----- //
// ONE-NEXT: module {
// ONE-NOT:  canonicalize

// NESTED-NOT: After
// NESTED:     // -----// IR Dump Before canonicalize //----- //

// ALL: IR Dump Before CSEPass: cse
// ALL: IR Dump After CSEPass: cse
// ALL: IR Dump Before convert-ssft-to-linalg: convert-ssft-to-linalg
// ALL: "ssft.save_slice"
// ALL: IR Dump After convert-ssft-to-linalg: convert-ssft-to-linalg
// ALL: bufferization.alloc_tensor() copy(

// CHANGE:     IR Dump After CanonicalizerPass
// CHANGE-NOT: IR Dump After CSEPass

// FAILURE-NOT: IR Dump After CSEPass
// FAILURE:     IR Dump After test-fail Failed: test-fail
// FAILURE:     error: 'func.func' op is not wanted

// GENERIC: IR Dump After CSEPass
// GENERIC: "func.func"() <{{.*}}
// GENERIC: loc(

// TREE: func.func @f
func.func @f(%x: tensor<4xf32>) -> tensor<2xf32> {
  %dead = arith.constant 1 : i32
  %r = "ssft.save_slice"(%x) {dim = 0 : i64, offset = 0 : i64, size = 2 : i64} : (tensor<4xf32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}
