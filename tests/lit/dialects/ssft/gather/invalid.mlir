// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @gather_c1(%x: tensor<?x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op 'source' must have static dimensions, but has type tensor<?x6xf32>}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x2xf32>
  return
}

// -----

func.func @gather_c1(%x: vector<8xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op 'source' must be a ranked tensor, not vector<8xf32>}}
  %r = "ssft.gather"(%x, %i) {dim = 0 : i64} : (vector<8xf32>, tensor<2xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_c1(%x: tensor<8x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op attribute 'dim' is 2, but 'source' has 2 dimensions}}
  %r = "ssft.gather"(%x, %i) {dim = 2 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_c1(%x: tensor<8x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op attribute 'dim' is -1, but 'source' has 2 dimensions}}
  %r = "ssft.gather"(%x, %i) {dim = -1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_c2(%x: tensor<8x6xf32>, %i: tensor<2xi32>) {
  // expected-error@+1 {{'ssft.gather' op 'indices' must be a tensor<kxi64>, not tensor<2xi32>}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi32>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_c2(%x: tensor<8x6xf32>, %i: tensor<2x1xi64>) {
  // expected-error@+1 {{'ssft.gather' op 'indices' must be a tensor<kxi64>, not tensor<2x1xi64>}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2x1xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_c3(%x: tensor<8x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op 'result' has type tensor<2x6xf32>, expected tensor<8x2xf32>}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<2x6xf32>
  return
}

// -----

func.func @gather_c3(%x: tensor<8x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op 'result' has type tensor<8x2xf64>, expected tensor<8x2xf32>}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf64>
  return
}

// -----

func.func @gather_c4(%x: tensor<8x6xf32>) {
  %i = arith.constant dense<[0, 6]> : tensor<2xi64>
  // expected-error@+1 {{'ssft.gather' op 'indices'[1] is 6, but the dimension has 6 elements}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_c4(%x: tensor<8x6xf32>) {
  %i = arith.constant dense<-1> : tensor<2xi64>
  // expected-error@+1 {{'ssft.gather' op 'indices'[0] is -1, but the dimension has 6 elements}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_without_dim(%x: tensor<8x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op requires attribute 'dim'}}
  %r = "ssft.gather"(%x, %i) : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_with_i32_dim(%x: tensor<8x6xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{'ssft.gather' op attribute 'dim' must be an i64 integer, but is 1 : i32}}
  %r = "ssft.gather"(%x, %i) {dim = 1 : i32} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_without_indices(%x: tensor<8x6xf32>) {
  // expected-error@+1 {{'ssft.gather' op has 1 operands, expected 2}}
  %r = "ssft.gather"(%x) {dim = 1 : i64} : (tensor<8x6xf32>) -> tensor<8x2xf32>
  return
}
