// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// A program with an entry in each table; regions may be left empty.
// CHECK-LABEL: "ssft_hw.program"
"ssft_hw.program"() ({
  // CHECK: "ssft_hw.source_op"() {kind = "matmul", label = "mlp", macs = 512 : i64, masked_macs = 8 : i64, number = 0 : i64, phase = "weight_gradient", source = "model.py:31"}
  "ssft_hw.source_op"() {number = 0 : i64, label = "mlp", kind = "matmul", phase = "weight_gradient", source = "model.py:31", macs = 512 : i64, masked_macs = 8 : i64} : () -> ()

  // CHECK: "ssft_hw.contraction"() {a_dtype = f32, b_dtype = bf16, c_dtype = f32, dims = [
  // CHECK-SAME: {a = 16 : i64, b = 0 : i64, c = -8 : i64, extent = 4 : i64, kind = "m"},
  // CHECK-SAME: {a = 1 : i64, b = 8 : i64, c = 0 : i64, extent = 16 : i64, kind = "k"}],
  // CHECK-SAME: indexed = 0 : i64, lane_tile = array<i64: 4, 8>, multiply = "bf16", number = 0 : i64}
  "ssft_hw.contraction"() {number = 0 : i64, dims = [
    {kind = "m", extent = 4 : i64, a = 16 : i64, b = 0 : i64, c = -8 : i64},
    {kind = "k", extent = 16 : i64, a = 1 : i64, b = 8 : i64, c = 0 : i64}],
    a_dtype = f32, b_dtype = bf16, c_dtype = f32, multiply = "bf16", lane_tile = array<i64: 4, 8>, indexed = 0 : i64} : () -> ()

  // CHECK: "ssft_hw.contraction"() {{.*}}dims = []{{.*}}number = 1 : i64}
  "ssft_hw.contraction"() {number = 1 : i64, dims = [], a_dtype = f32, b_dtype = f32, c_dtype = f32, multiply = "f32", lane_tile = array<i64: 4, 8>} : () -> ()

  // CHECK: "ssft_hw.micro_program"() ({
  // CHECK-NEXT: "ssft_hw.nest"() ({
  // CHECK-NEXT: "ssft_hw.micro_op"() {dtype = f32, function = "constant", immediate = 0.000000e+00 : f64, registers = array<i64>}
  // CHECK-NEXT: "ssft_hw.micro_op"() {dtype = i64, function = "constant", immediate = 18446744073709551615 : ui64, registers = array<i64>}
  // CHECK-NEXT: "ssft_hw.micro_op"() {dtype = i1, function = "cmpf", immediate = "olt", registers = array<i64: 0, 2>}
  // CHECK-NEXT: }) {extents = array<i64: 8, 4>, inputs = [{offset = 0 : i64, slot = 0 : i64, strides = array<i64: 4, 1>}], origins = [array<i64: 1, 1>, array<i64: 4, 16>],
  // CHECK-SAME: outputs = [{initial = 0xFFF0000000000000 : f64, offset = 0 : i64, slot = 1 : i64, strides = array<i64: 1, 0>}], reduction = array<i1: false, true>, stored = array<i64: 4>}
  // CHECK: }) {kind = "softmax", number = 0 : i64, slots = [{access = "in", dtype = f32, elements = 32 : i64}, {access = "temporary", dtype = i1, elements = 8 : i64}]}
  "ssft_hw.micro_program"() ({
    "ssft_hw.nest"() ({
      "ssft_hw.micro_op"() {function = "constant", registers = array<i64>, dtype = f32, immediate = 0.0 : f64} : () -> ()
      "ssft_hw.micro_op"() {function = "constant", registers = array<i64>, dtype = i64, immediate = 18446744073709551615 : ui64} : () -> ()
      "ssft_hw.micro_op"() {function = "cmpf", registers = array<i64: 0, 2>, dtype = i1, immediate = "olt"} : () -> ()
    }) {extents = array<i64: 8, 4>, reduction = array<i1: false, true>,
      inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 4, 1>}],
      outputs = [{slot = 1 : i64, offset = 0 : i64, strides = array<i64: 1, 0>, initial = 0xFFF0000000000000 : f64}],
      stored = array<i64: 4>, origins = [array<i64: 1, 1>, array<i64: 4, 16>]} : () -> ()
  }) {number = 0 : i64, kind = "softmax", slots = [
    {dtype = f32, elements = 32 : i64, access = "in"}, {dtype = i1, elements = 8 : i64, access = "temporary"}]} : () -> ()

  // CHECK: "ssft_hw.arguments"() {addresses = array<i64: 0, 4294967295>, number = 0 : i64}
  "ssft_hw.arguments"() {number = 0 : i64, addresses = array<i64: 0, 4294967295>} : () -> ()

  // CHECK: "ssft_hw.buffer"() {address = 64 : i64, argument = 3 : i64, bytes = 4 : i64, data = dense<[0, 0, -128, 63]> : tensor<4xi8>, dtype = f32, first = 2 : i64, label = "w", last = 7 : i64, number = 0 : i64, order = array<i64: 1, 0>, purpose = "weight", result = 1 : i64, shape = array<i64: 1, 1>}
  "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 64 : i64, bytes = 4 : i64, dtype = f32, shape = array<i64: 1, 1>, order = array<i64: 1, 0>, argument = 3 : i64, result = 1 : i64, first = 2 : i64, last = 7 : i64, data = dense<[0, 0, 128, 63]> : tensor<4xi8>} : () -> ()

  // CHECK: "ssft_hw.slot"() {address = 0 : i64, buffers = 2 : i64, bytes = 256 : i64, first = 0 : i64, label = "x", last = 3 : i64, number = 0 : i64, purpose = "input"}
  "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "input", address = 0 : i64, bytes = 256 : i64, first = 0 : i64, last = 3 : i64, buffers = 2 : i64} : () -> ()

  // CHECK-COUNT-5: "ssft_hw.queue"
  "ssft_hw.queue"() ({ }) {unit = "dma_in"} : () -> ()
  "ssft_hw.queue"() ({ }) {unit = "dma_out"} : () -> ()
  "ssft_hw.queue"() ({ }) {unit = "tensor"} : () -> ()
  "ssft_hw.queue"() ({ }) {unit = "vector"} : () -> ()
  "ssft_hw.queue"() ({ }) {unit = "index"} : () -> ()

  // CHECK: }) {dram_bytes = 68 : i64, machine = "ssft-server", precision = "bf16", spm_bytes = 512 : i64, spm_lower_bound = 256 : i64}
}) {machine = "ssft-server", precision = "bf16", dram_bytes = 68 : i64, spm_bytes = 512 : i64, spm_lower_bound = 256 : i64} : () -> ()
