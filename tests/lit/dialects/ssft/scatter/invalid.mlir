// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @scatter_c1(%x: tensor<?x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter' op 'dest' must have static dimensions, but has type tensor<?x6xf32>}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<?x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<?x6xf32>
  return
}

// -----

func.func @scatter_c1(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter' op attribute 'dim' is 7, but 'dest' has 2 dimensions}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 7 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_c2(%x: tensor<8x6xf32>, %i: tensor<2xindex>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter' op 'indices' must be a tensor<kxi64>, not tensor<2xindex>}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xindex>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_c3(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<3x6xf32>) {
  // expected-error@+1 {{'ssft.scatter' op 'slice' has type tensor<3x6xf32>, expected tensor<2x6xf32>}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<3x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_c4(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter' op 'result' has type tensor<2x6xf32>, expected tensor<8x6xf32>}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<2x6xf32>
  return
}

// -----

func.func @scatter_c5(%x: tensor<8x6xf32>, %s: tensor<2x6xf32>) {
  %i = arith.constant dense<[0, 8]> : tensor<2xi64>
  // expected-error@+1 {{'ssft.scatter' op 'indices'[1] is 8, but the dimension has 8 elements}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_c6(%x: tensor<8x6xf32>, %s: tensor<3x6xf32>) {
  %i = arith.constant dense<[4, 1, 4]> : tensor<3xi64>
  // expected-error@+1 {{'ssft.scatter' op 'indices'[2] is 4, and so is 'indices'[0]; indices must be distinct}}
  %r = "ssft.scatter"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<3xi64>, tensor<3x6xf32>) -> tensor<8x6xf32>
  return
}
