// RUN: ssft-opt %s -split-input-file -verify-diagnostics

func.func @yield_c1(%a: f32) {
  scf.execute_region {
    // expected-error@+1 {{'ssft.yield' op must stand in 'ssft.update', not in 'scf.execute_region'}}
    "ssft.yield"(%a) : (f32) -> ()
  }
  return
}
