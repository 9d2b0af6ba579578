// RUN: ssft-opt %s --verify-roundtrip | filecheck %s
// RUN: ssft-opt %s --emit-bytecode | ssft-opt | filecheck %s

// Every command, each field at its largest value, in the first queue that may execute it.
// CHECK-LABEL: "ssft_hw.program"
"ssft_hw.program"() ({
  "ssft_hw.queue"() ({
    // CHECK:       "ssft_hw.dma_ld2d"() {dram = 281474976710655 : i64, pitch = 281474976710655 : i64, post = 0 : i64, row_bytes = 4294967295 : i64, rows = 4294967295 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.dma_ld2d"() {dram = 281474976710655 : i64, pitch = 281474976710655 : i64, post = 0 : i64, row_bytes = 4294967295 : i64, rows = 4294967295 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.dma_gather_rows"() {count = 16777215 : i64, dram = 281474976710655 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, row_bytes = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.dma_gather_rows"() {count = 16777215 : i64, dram = 281474976710655 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, row_bytes = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.dma_gather_cols"() {count = 65535 : i64, dram = 281474976710655 : i64, element_bytes = 255 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, rows = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.dma_gather_cols"() {count = 65535 : i64, dram = 281474976710655 : i64, element_bytes = 255 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, rows = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.sem_wait"() {tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.sem_wait"() {tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.sem_post"() {amount = 4294967295 : i64, post = 0 : i64, semaphore = 255 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.sem_post"() {amount = 4294967295 : i64, post = 0 : i64, semaphore = 255 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
  // CHECK:       }) {unit = "dma_in"}
  }) {unit = "dma_in"} : () -> ()
  "ssft_hw.queue"() ({
    // CHECK:       "ssft_hw.dma_st2d"() {dram = 281474976710655 : i64, pitch = 281474976710655 : i64, post = 0 : i64, row_bytes = 4294967295 : i64, rows = 4294967295 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.dma_st2d"() {dram = 281474976710655 : i64, pitch = 281474976710655 : i64, post = 0 : i64, row_bytes = 4294967295 : i64, rows = 4294967295 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.dma_scatter_rows"() {count = 16777215 : i64, dram = 281474976710655 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, row_bytes = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.dma_scatter_rows"() {count = 16777215 : i64, dram = 281474976710655 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, row_bytes = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.dma_scatter_cols"() {count = 65535 : i64, dram = 281474976710655 : i64, element_bytes = 255 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, rows = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.dma_scatter_cols"() {count = 65535 : i64, dram = 281474976710655 : i64, element_bytes = 255 : i64, index = 4294967295 : i64, pitch = 4294967295 : i64, post = 0 : i64, rows = 16777215 : i64, spm = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
  // CHECK:       }) {unit = "dma_out"}
  }) {unit = "dma_out"} : () -> ()
  "ssft_hw.queue"() ({
    // CHECK:       "ssft_hw.gemm"() {a = 4294967295 : i64, accumulate = 255 : i64, b = 4294967295 : i64, c = 4294967295 : i64, index = 4294967295 : i64, post = 0 : i64, shape = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.gemm"() {a = 4294967295 : i64, accumulate = 255 : i64, b = 4294967295 : i64, c = 4294967295 : i64, index = 4294967295 : i64, post = 0 : i64, shape = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
  // CHECK:       }) {unit = "tensor"}
  }) {unit = "tensor"} : () -> ()
  "ssft_hw.queue"() ({
    // CHECK:       "ssft_hw.vec"() {arguments = 4294967295 : i64, origin = 4294967295 : i64, post = 0 : i64, program = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.vec"() {arguments = 4294967295 : i64, origin = 4294967295 : i64, post = 0 : i64, program = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.vec_scatter_add_rows"() {count = 16777215 : i64, first = 16777215 : i64, index = 4294967295 : i64, post = 0 : i64, row_elements = 16777215 : i64, rows = 16777215 : i64, source = 4294967295 : i64, tag = 65535 : i64, target = 4294967295 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.vec_scatter_add_rows"() {count = 16777215 : i64, first = 16777215 : i64, index = 4294967295 : i64, post = 0 : i64, row_elements = 16777215 : i64, rows = 16777215 : i64, source = 4294967295 : i64, tag = 65535 : i64, target = 4294967295 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.opt_adam_rows"() {arguments = 4294967295 : i64, origin = 4294967295 : i64, post = 0 : i64, program = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.opt_adam_rows"() {arguments = 4294967295 : i64, origin = 4294967295 : i64, post = 0 : i64, program = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.opt_sgd_rows"() {arguments = 4294967295 : i64, origin = 4294967295 : i64, post = 0 : i64, program = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.opt_sgd_rows"() {arguments = 4294967295 : i64, origin = 4294967295 : i64, post = 0 : i64, program = 4294967295 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
  // CHECK:       }) {unit = "vector"}
  }) {unit = "vector"} : () -> ()
  "ssft_hw.queue"() ({
    // CHECK:       "ssft_hw.idx_acc_score"() {elements = 4294967295 : i64, gradient = 4294967295 : i64, post = 0 : i64, score = 4294967295 : i64, square = 255 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.idx_acc_score"() {elements = 4294967295 : i64, gradient = 4294967295 : i64, post = 0 : i64, score = 4294967295 : i64, square = 255 : i64, tag = 65535 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.idx_rowcol_count"() {by_column = 255 : i64, columns = 16777215 : i64, counts = 4294967295 : i64, post = 0 : i64, rows = 16777215 : i64, score = 4294967295 : i64, tag = 65535 : i64, threshold = 4294967295 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.idx_rowcol_count"() {by_column = 255 : i64, columns = 16777215 : i64, counts = 4294967295 : i64, post = 0 : i64, rows = 16777215 : i64, score = 4294967295 : i64, tag = 65535 : i64, threshold = 4294967295 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.idx_topk"() {count = 4294967295 : i64, index = 4294967295 : i64, k = 4294967295 : i64, post = 0 : i64, tag = 65535 : i64, values = 4294967295 : i64, wait = 14 : i64, wait_value = 4294967295 : i64}
    "ssft_hw.idx_topk"() {count = 4294967295 : i64, index = 4294967295 : i64, k = 4294967295 : i64, post = 0 : i64, tag = 65535 : i64, values = 4294967295 : i64, wait = 14 : i64, wait_value = 4294967295 : i64} : () -> ()
    // CHECK:       "ssft_hw.fence"() {tag = 1 : i64}
    "ssft_hw.fence"() {tag = 1 : i64} : () -> ()
    // CHECK:       "ssft_hw.mark"() {tag = 1 : i64}
    "ssft_hw.mark"() {tag = 1 : i64} : () -> ()
  // CHECK:       }) {unit = "index"}
  }) {unit = "index"} : () -> ()
}) {dram_bytes = 0 : i64, machine = "m", precision = "bf16", spm_bytes = 0 : i64, spm_lower_bound = 0 : i64} : () -> ()
