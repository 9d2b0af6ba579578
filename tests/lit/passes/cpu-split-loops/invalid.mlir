// RUN: ssft-opt %s --cpu-split-loops -verify-diagnostics

// expected-error@+1 {{function has 0 loop nests, but 'ssft.splits' says how to split 1}}
func.func @kernel(%lo: index, %hi: index) attributes {ssft.splits = array<i64: 0>} {
  return
}
