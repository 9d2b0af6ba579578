// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @scatter_add_c1(%x: tensor<?x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter_add' op 'dest' must have static dimensions, but has type tensor<?x6xf32>}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<?x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<?x6xf32>
  return
}

// -----

func.func @scatter_add_c1(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter_add' op attribute 'dim' is 7, but 'dest' has 2 dimensions}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 7 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_add_c2(%x: tensor<8x6xf32>, %i: tensor<2xindex>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter_add' op 'indices' must be a tensor<kxi64>, not tensor<2xindex>}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xindex>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_add_c3(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<3x6xf32>) {
  // expected-error@+1 {{'ssft.scatter_add' op 'updates' has type tensor<3x6xf32>, expected tensor<2x6xf32>}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<3x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_add_c4(%x: tensor<8x6xf32>, %i: tensor<2xi64>, %s: tensor<2x6xf32>) {
  // expected-error@+1 {{'ssft.scatter_add' op 'result' has type tensor<2x6xf32>, expected tensor<8x6xf32>}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<2x6xf32>
  return
}

// -----

func.func @scatter_add_c5(%x: tensor<8x6xf32>, %s: tensor<2x6xf32>) {
  %i = arith.constant dense<[0, 8]> : tensor<2xi64>
  // expected-error@+1 {{'ssft.scatter_add' op 'indices'[1] is 8, but the dimension has 8 elements}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @scatter_add_c6(%x: tensor<8x6xcomplex<f32>>, %i: tensor<2xi64>, %s: tensor<2x6xcomplex<f32>>) {
  // expected-error@+1 {{'ssft.scatter_add' op 'dest' must hold numbers, not complex<f32>}}
  %r = "ssft.scatter_add"(%x, %i, %s) {dim = 0 : i64} : (tensor<8x6xcomplex<f32>>, tensor<2xi64>, tensor<2x6xcomplex<f32>>) -> tensor<8x6xcomplex<f32>>
  return
}
