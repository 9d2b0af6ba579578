// RUN: ssft-opt %s --cpu-tune-functions=width=256 | filecheck %s

// What a function already says stays.
// CHECK:       llvm.func internal @kernel(%{{.*}}: !llvm.ptr {llvm.noalias}) attributes {no_inline, prefer_vector_width = "256"
llvm.func internal @kernel(%x: !llvm.ptr {llvm.noalias}) {
  llvm.return
}
