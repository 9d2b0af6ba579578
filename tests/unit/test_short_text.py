"""Names for what makes the text of a module long."""

from __future__ import annotations

from ssft.compiler.short_text import shorten
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

LONG = "array<i64: " + ", ".join(map(str, range(20))) + ">"
OTHER = "array<i64: " + ", ".join(map(str, range(1, 21))) + ">"


def reprinted(text: str, *, locations: bool = False) -> str:
    module = ir.Module.parse(text, new_context())
    return module.operation.get_asm(enable_debug_info=locations)


def test_a_list_that_recurs_gets_a_name():
    text = f"module attributes {{a.a = {LONG}, a.b = [{LONG}, {OTHER}]}} {{\n}}\n"
    short = shorten(text)
    assert short.count(LONG) == 1
    assert short.count(OTHER) == 1
    assert short.startswith(f"#indices0 = {LONG}\n")
    assert reprinted(short) == text


def test_short_lists_and_single_ones_stay():
    text = f"module attributes {{a.a = array<i64: 1>, a.b = array<i64: 1>, a.c = {LONG}}} {{\n}}\n"
    assert shorten(text) == text


def test_what_looks_like_a_list_in_a_string_stays():
    text = f'module attributes {{a.a = "{LONG}", a.b = "\\"{LONG}", a.c = {LONG}}} {{\n}}\n'
    assert shorten(text) == text


def test_names_are_taken_in_the_order_of_first_use():
    text = f"module attributes {{a.a = [{OTHER}, {LONG}, {LONG}, {OTHER}]}} {{\n}}\n"
    short = shorten(text)
    assert "a.a = [#indices0, #indices1, #indices1, #indices0]" in short
    assert reprinted(short) == text


CALLS = """module {
  func.func @step(%arg0: tensor<4x8xf32>, %arg1: tensor<2xi64>) -> tensor<4x8xf32> {
    %0:2 = call @f(%arg0, %arg1) {a.a = "tensor<4x8xf32>"} : (tensor<4x8xf32>, tensor<2xi64>) -> (tensor<4x8xf32>, f32)
    return %0#0 : tensor<4x8xf32>
  }
  func.func private @f(tensor<4x8xf32>, tensor<2xi64>) -> (tensor<4x8xf32>, f32)
}
"""  # noqa: E501 (an operation's type does not break)


def test_types_of_calls_get_names():
    short = shorten(CALLS)
    assert short.startswith("!type0 = tensor<4x8xf32>\n")
    assert '{a.a = "tensor<4x8xf32>"} : (!type0, tensor<2xi64>) -> (!type0, f32)' in short
    assert short.count("!type0") == 3
    assert reprinted(short) == CALLS


def test_locations_that_nothing_refers_to_are_left_out():
    text = reprinted(
        'module {\n  func.func @step(%x: f32 loc("x")) -> f32 {\n'
        '    %r = arith.negf %x {a.a = "#loc1"} : f32 loc(callsite("a" at "b"))\n'
        '    return %r : f32 loc("c")\n  } loc("d")\n} loc("e")\n',
        locations=True,
    )
    short = shorten(text)
    assert 'loc("x")\n' in text
    assert 'loc("x")\n' not in short
    assert reprinted(short, locations=True) == text
