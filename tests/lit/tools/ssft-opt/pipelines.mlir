// Passes of ours and of MLIR run in the order given, as flags or as one pipeline.
// RUN: ssft-opt %s --convert-ssft-to-linalg --canonicalize --cse --dump-pass-pipeline 2>&1 | filecheck %s
// RUN: ssft-opt %s -convert-ssft-to-linalg -canonicalize -cse -dump-pass-pipeline 2>&1 | filecheck %s
// RUN: ssft-opt %s --pass-pipeline='builtin.module(convert-ssft-to-linalg, canonicalize,cse)' --dump-pass-pipeline 2>&1 | filecheck %s
// RUN: ssft-opt %s --canonicalize='max-iterations=3 top-down=false' --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=OPTIONS
// RUN: ssft-opt %s --pass-pipeline='builtin.module(func.func(cse,canonicalize{top-down=false}),convert-ssft-to-linalg)' --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=NESTED

// CHECK:      Pass Manager with 3 passes:
// CHECK-NEXT: builtin.module(
// CHECK-NEXT:   convert-ssft-to-linalg{keep-barriers=false},
// CHECK-NEXT:   canonicalize{{.*}},
// CHECK-NEXT:   cse
// CHECK-NEXT: )

// OPTIONS: canonicalize{{{.*}}max-iterations=3{{.*}}top-down=false}
// OPTIONS: "ssft.save_slice"

// NESTED:      Pass Manager with 2 passes:
// NESTED:      func.func(cse,canonicalize{{{.*}}top-down=false}),
// NESTED-NEXT: convert-ssft-to-linalg{keep-barriers=false}

// CHECK-LABEL: func.func @f
// CHECK-NEXT:    tensor.extract_slice
// CHECK-NEXT:    bufferization.alloc_tensor() copy(
// CHECK:         return
func.func @f(%x: tensor<4xf32>) -> tensor<2xf32> {
  %r = "ssft.save_slice"(%x) {dim = 0 : i64, offset = 0 : i64, size = 2 : i64} : (tensor<4xf32>) -> tensor<2xf32>
  %dead = "ssft.save_slice"(%x) {dim = 0 : i64, offset = 2 : i64, size = 2 : i64} : (tensor<4xf32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}
