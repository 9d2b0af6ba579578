// All ways to say where a diagnostic is expected, and all kinds.
// RUN: ssft-opt %s -split-input-file -verify-diagnostics --load-pass-plugin=%S/Inputs/passes.py --test-count

// expected-remark@+1 {{counted}}
func.func @below_by_number() { return }

func.func @above() { return }
// expected-remark@above {{counted}}

func.func @above_by_number() { return }

// expected-remark@-2 {{counted}}
func.func @same_line() { return } // expected-remark {{counted}}

// expected-remark@below {{coun}}
func.func @below() { return }

// expected-remark-re@+1 {{c{{o.n}}ted}}
func.func @regular_expression() { return }

// -----

// expected-note@+1 {{see existing symbol definition here}}
func.func @twice() { return }
// expected-error@+1 {{redefinition of symbol named 'twice'}}
func.func @twice() { return }
