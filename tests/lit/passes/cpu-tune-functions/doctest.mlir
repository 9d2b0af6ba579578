// RUN: ssft-opt %s --cpu-tune-functions | filecheck %s

// CHECK:       llvm.func @kernel(%{{.*}}: !llvm.ptr) attributes {no_inline, prefer_vector_width = "512"} {
llvm.func @kernel(%x: !llvm.ptr) {
  llvm.return
}
