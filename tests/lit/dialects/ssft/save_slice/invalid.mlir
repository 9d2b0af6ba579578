// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @save_slice_c1(%x: tensor<*xf32>) {
  // expected-error@+1 {{'ssft.save_slice' op 'source' must be a ranked tensor, not tensor<*xf32>}}
  %r = "ssft.save_slice"(%x) {dim = 0 : i64, offset = 0 : i64, size = 1 : i64} : (tensor<*xf32>) -> tensor<1xf32>
  return
}

// -----

func.func @save_slice_c1(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'ssft.save_slice' op attribute 'dim' is 2, but 'source' has 2 dimensions}}
  %r = "ssft.save_slice"(%x) {dim = 2 : i64, offset = 0 : i64, size = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  return
}

// -----

func.func @save_slice_c2(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'ssft.save_slice' op slice of 2 from 7 on does not fit dimension 1, which has 8 elements}}
  %r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 7 : i64, size = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @save_slice_c2(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'ssft.save_slice' op slice of 2 from -1 on does not fit dimension 1, which has 8 elements}}
  %r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = -1 : i64, size = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @save_slice_c2(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'ssft.save_slice' op slice of -2 from 4 on does not fit dimension 1, which has 8 elements}}
  %r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 4 : i64, size = -2 : i64} : (tensor<4x8xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @save_slice_c3(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'ssft.save_slice' op 'result' has type tensor<4x3xf32>, expected tensor<4x2xf32>}}
  %r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 4 : i64, size = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x3xf32>
  return
}
