// RUN: ssft-opt %s --cpu-tune-functions | filecheck %s

// Neither a function of a library, nor one for certain instructions, nor one that is not lowered yet.
// CHECK:       llvm.func @sgemm_(!llvm.ptr){{$}}
// CHECK:       llvm.func @narrow() attributes {target_features = #llvm.target_features<["+avx2"]>} {
// CHECK:       func.func @step() {
llvm.func @sgemm_(!llvm.ptr)
llvm.func @narrow() attributes {target_features = #llvm.target_features<["+avx2"]>} {
  llvm.return
}
func.func @step() {
  return
}
