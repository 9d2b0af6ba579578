// RUN: ssft-opt %s --cpu-tune-functions=width=256 | filecheck %s

// What a function already says stays.
// CHECK:       llvm.func internal @kernel(%{{.*}}: !llvm.ptr {llvm.noalias}) attributes {no_inline, prefer_vector_width = "256"
llvm.func internal @kernel(%x: !llvm.ptr {llvm.noalias}) {
  llvm.return
}

// RUN: ssft-opt %s --cpu-tune-functions="cpu=x86-64-v3 features=+avx2;+fma" | filecheck %s --check-prefix=CPU

// CPU:         llvm.func internal @kernel({{.*}}target_cpu = "x86-64-v3", target_features = #llvm.target_features<["+avx2", "+fma"]>}
