// RUN: ssft-opt %s --cpu-tune-functions | filecheck %s

// Neither a function of a library nor one that is not lowered yet.
// CHECK:       llvm.func @sgemm_(!llvm.ptr){{$}}
// CHECK:       func.func @step() {
llvm.func @sgemm_(!llvm.ptr)
func.func @step() {
  return
}
