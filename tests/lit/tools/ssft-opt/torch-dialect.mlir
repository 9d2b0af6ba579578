// RUN: ssft-opt %s --verify-roundtrip | filecheck %s

// CHECK-LABEL: func.func @f
// CHECK-SAME:    !torch.vtensor<[2],f32>
// CHECK:         torch.aten.relu
func.func @f(%x: !torch.vtensor<[2],f32>) -> !torch.vtensor<[2],f32> {
  %r = torch.aten.relu %x : !torch.vtensor<[2],f32> -> !torch.vtensor<[2],f32>
  return %r : !torch.vtensor<[2],f32>
}
