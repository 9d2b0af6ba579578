// RUN: ssft-opt %s --mlir-print-op-generic | filecheck %s --check-prefix=GENERIC
// RUN: ssft-opt %s --mlir-print-debuginfo | filecheck %s --check-prefix=DEBUG
// RUN: ssft-opt %s --mlir-print-debuginfo --mlir-print-local-scope | filecheck %s --check-prefix=LOCAL
// RUN: ssft-opt %s --mlir-elide-elementsattrs-if-larger=2 | filecheck %s --check-prefix=ELIDED
// RUN: ssft-opt %s --mlir-print-skip-regions | filecheck %s --check-prefix=SKIPPED
// RUN: ssft-opt %s --emit-bytecode -o %t.mlirbc
// RUN: ssft-opt %t.mlirbc --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s | ssft-opt - --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --mlir-timing -o %t.out 2>&1 | filecheck %s --check-prefix=NO-TIME --allow-empty
// RUN: ssft-opt %s --cse --mlir-timing -o %t.out 2>&1 | filecheck %s --check-prefix=TIME

// GENERIC: "func.func"() <{function_type
// GENERIC: "ssft.gather"
// DEBUG:   #[[LOC:.*]] = loc("{{.*}}output-forms.mlir":[[LINE:[0-9]+]]:8)
// LOCAL:   "ssft.gather"{{.*}} loc("{{.*}}output-forms.mlir":
// ELIDED:  dense_resource<__elided__>
// SKIPPED: module {...}
// NO-TIME-NOT: Execution time
// TIME:    Execution time report
// TIME:    CSEPass

// CHECK-LABEL: func.func @f
// CHECK:         arith.constant dense<[0, 2, 1]>
// CHECK:         "ssft.gather"
func.func @f(%x: tensor<4xf32>) -> tensor<3xf32> {
  %i = arith.constant dense<[0, 2, 1]> : tensor<3xi64>
  %r = "ssft.gather"(%x, %i) {dim = 0 : i64} : (tensor<4xf32>, tensor<3xi64>) -> tensor<3xf32>
  return %r : tensor<3xf32>
}
