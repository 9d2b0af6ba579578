// Passes from a Python file take options like ours; what they count and remark is shown.
// RUN: ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --test-count='word="hello there" weight=4 scale-by=0.5 loud' --mlir-pass-statistics 2>&1 | filecheck %s
// RUN: ssft-opt %s --load-pass-plugin %S/Inputs/passes.py --test-count --mlir-diagnostic-verbosity-level=warnings 2>&1 | filecheck %s --check-prefix=QUIET
// RUN: ssft-opt --load-pass-plugin=%S/Inputs/passes.py --list-passes | filecheck %s --check-prefix=LIST
// RUN: ssft-opt %s --load-pass-plugin=%S/Inputs/passes.py --test-count --test-count=loud=true --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=DUMP

// CHECK:      plugin.mlir:[[LINE:[0-9]+]]:1: remark: hello there!
// CHECK-NEXT: func.func @f
// CHECK-NEXT: ^
// CHECK:      test-count
// CHECK-NEXT:   (S) 4 functions
// CHECK:      func.func @f
// QUIET-NOT:  remark
// QUIET:      func.func @f

// LIST:      --convert-ssft-to-linalg {{ +}}Lowers every ssft operation
// LIST:      --test-count {{ +}}Counts functions and remarks on each.
// LIST-NEXT:   word=<str> {{ +}}what to remark (default: counted)
// LIST-NEXT:   weight=<int> {{ +}}how much a function counts (default: 1)
// LIST-NEXT:   scale-by=<float> {{ +}}(default: 1.0)
// LIST-NEXT:   loud=<bool> {{ +}}(default: False)

// DUMP: test-count{word=counted weight=1 scale-by=1.0 loud=false},
// DUMP: test-count{word=counted weight=1 scale-by=1.0 loud=true}

func.func @f() {
  return
}
func.func @g() {
  return
}
