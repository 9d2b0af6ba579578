// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s
// RUN: ssft-opt %s --canonicalize --cse | filecheck %s --check-prefix=CLEAN

// CHECK-LABEL: func.func @again
// CHECK-SAME:    (%[[X:.*]]: tensor<4x8xf32>)
// CHECK:         %[[A:.*]] = math.tanh %[[X]]
// CHECK:         %[[B:.*]] = "ssft.barrier"(%[[X]]) : (tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK:         %[[C:.*]] = math.tanh %[[B]]
// CHECK:         return %[[A]], %[[C]]

// Both are still computed when everything was simplified and merged.
// CLEAN-LABEL: func.func @again
// CLEAN-SAME:    (%[[X:.*]]: tensor<4x8xf32>)
// CLEAN:         %[[A:.*]] = math.tanh %[[X]]
// CLEAN:         %[[B:.*]] = "ssft.barrier"(%[[X]])
// CLEAN:         %[[C:.*]] = math.tanh %[[B]]
// CLEAN:         return %[[A]], %[[C]]
func.func @again(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %a = math.tanh %x : tensor<4x8xf32>
  %b = "ssft.barrier"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %c = math.tanh %b : tensor<4x8xf32>
  return %a, %c : tensor<4x8xf32>, tensor<4x8xf32>
}
