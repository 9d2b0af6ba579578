"""Saved activations and peak memory of steps small enough to count by hand."""

from __future__ import annotations

import pytest

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.liveness import (
    bytes_of,
    peak_temporaries,
    saved_activations,
    storage,
)
from ssft.compiler.diagnostics import UserError

from .steps import LOSS, Step, argument, elementwise, total, update, updates

M = 4 * 6 * 4  # bytes of a 4x6xf32
X = argument("x", "4x6xf32")
EXP = "%r = math.exp %a : f32"
MUL = "%r = arith.mulf %a, %b : f32"
BOTH = lambda a, b: {a: "4x6xf32", b: "4x6xf32"}  # noqa: E731
METRIC = 'tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "x"}'


def step_of(parse_step, forward: str, backward: str, result: str = "%g") -> Step:
    """A step on %x: `forward` up to the loss of its %p, then `backward`."""
    return parse_step(
        X,
        forward + total("loss", "%p") + backward,
        f"{LOSS}, {METRIC}",
        f"%loss, {result} : tensor<f32>, tensor<4x6xf32>",
    )


def saved_names(step: Step) -> list[str]:
    owners = [step_ir.owner(value) for value in saved_activations(step.op)]
    return [name for owner in owners if owner is not None for name in step.names([owner])]


def test_an_activation_that_the_backward_pass_reads_is_saved(parse_step):
    forward = elementwise("h", {"%x": "4x6xf32"}, EXP) + elementwise("p", {"%h": "4x6xf32"}, EXP)
    step = step_of(parse_step, forward, elementwise("g", BOTH("%p", "%x"), MUL))
    assert saved_names(step) == ["p"]
    assert [bytes_of(value) for value in saved_activations(step.op)] == [M]


def test_two_readers_save_once(parse_step):
    forward = elementwise("p", {"%x": "4x6xf32"}, EXP)
    backward = elementwise("d", {"%p": "4x6xf32"}, EXP) + elementwise("g", BOTH("%p", "%d"), MUL)
    assert saved_names(step_of(parse_step, forward, backward)) == ["p"]


VIEW = """
    %v = tensor.collapse_shape %p [[0, 1]] : tensor<4x6xf32> into tensor<24xf32>
    %w = tensor.expand_shape %v [[0, 1]] output_shape [4, 6]
        : tensor<24xf32> into tensor<4x6xf32>"""


@pytest.mark.parametrize("view_is_forward", [True, False])
def test_views_and_what_they_show_count_once(parse_step, view_is_forward):
    forward = elementwise("p", {"%x": "4x6xf32"}, EXP) + (VIEW if view_is_forward else "")
    backward = ("" if view_is_forward else VIEW) + elementwise("g", BOTH("%p", "%w"), MUL)
    step = step_of(parse_step, forward, backward)
    assert saved_names(step) == ["p"]


def test_a_view_keeps_all_of_what_it_shows(parse_step):
    forward = elementwise("p", {"%x": "4x6xf32"}, EXP)
    forward += """
        %part = tensor.extract_slice %p[0, 0] [1, 6] [1, 1] : tensor<4x6xf32> to tensor<1x6xf32>"""
    backward = """
        %g = tensor.insert_slice %part into %x[0, 0] [1, 6] [1, 1]
            : tensor<1x6xf32> into tensor<4x6xf32>"""
    step = step_of(parse_step, forward, backward)
    assert [bytes_of(value) for value in saved_activations(step.op)] == [M]


def test_a_saved_slice_lets_the_rest_go(parse_step):
    forward = elementwise("p", {"%x": "4x6xf32"}, EXP)
    forward += """
        %part = "ssft.save_slice"(%p)
            {test = "part", dim = 0 : i64, offset = 0 : i64, size = 1 : i64}
            : (tensor<4x6xf32>) -> tensor<1x6xf32>"""
    backward = """
        %g = tensor.insert_slice %part into %x[0, 0] [1, 6] [1, 1]
            : tensor<1x6xf32> into tensor<4x6xf32>"""
    step = step_of(parse_step, forward, backward)
    assert saved_names(step) == ["part"]
    assert [bytes_of(value) for value in saved_activations(step.op)] == [M // 4]


def test_arguments_constants_and_fills_are_not_saved(parse_step):
    forward = """
        %c = arith.constant dense<2.0> : tensor<4x6xf32>
        %fe = tensor.empty() : tensor<4x6xf32>
        %f = linalg.fill ins(%zero : f32) outs(%fe : tensor<4x6xf32>) -> tensor<4x6xf32>"""
    forward += elementwise("p", BOTH("%c", "%f"), MUL)
    backward = elementwise("d", BOTH("%c", "%f"), MUL) + elementwise("g", BOTH("%x", "%d"), MUL)
    assert saved_names(step_of(parse_step, forward, backward)) == []


def test_storage_of_a_view_is_its_root(parse_step):
    step = step_of(parse_step, elementwise("p", {"%x": "4x6xf32"}, EXP) + VIEW, "", result="%w")
    returned = step_ir.terminator(step.op).operands[1]
    assert storage(returned) == step["p"].results[0]
    x = step_ir.body(step.op).arguments[0]
    assert storage(x) == x


def test_bytes(parse_step):
    step = parse_step(
        ", ".join(argument(n, t) for n, t in [("x", "3x5xbf16"), ("m", "7xi1"), ("s", "f64")]), ""
    )
    assert [bytes_of(a) for a in step_ir.body(step.op).arguments] == [30, 7, 8]
    odd = parse_step(argument("x", "3xi4"), "")
    with pytest.raises(UserError, match="'i4' cannot be stored"):
        bytes_of(step_ir.body(odd.op).arguments[0])


def test_peak_of_a_chain_reuses_the_dying_operand(parse_step):
    forward = elementwise("h", {"%x": "4x6xf32"}, EXP) + elementwise("p", {"%h": "4x6xf32"}, EXP)
    step = parse_step(X, forward + total("loss", "%p"), LOSS, "%loss : tensor<f32>")
    # p is written onto h, the loss onto p.
    assert peak_temporaries(step.op) == M


def test_peak_counts_what_is_alive_together(parse_step):
    body = elementwise("h", {"%x": "4x6xf32"}, EXP) + elementwise("k", {"%x": "4x6xf32"}, EXP)
    body += elementwise("p", BOTH("%h", "%k"), MUL) + total("loss", "%p")
    step = parse_step(X, body, LOSS, "%loss : tensor<f32>")
    # h and k; then p is written onto one of them.
    assert peak_temporaries(step.op) == 2 * M


def test_an_update_needs_no_memory_of_its_own(parse_step):
    arguments = f"{argument('w', '4x6xf32', 'trainable')}, {argument('x', '4x6xf32')}"
    body = elementwise("g", {"%x": "4x6xf32"}, EXP) + update("new", "%w", "%g", "4x6xf32")
    step = parse_step(arguments, body, updates(0, "4x6xf32"), "%new : tensor<4x6xf32>")
    assert peak_temporaries(step.op) == M


def test_slices_are_put_back_in_place(parse_step):
    arguments = f"{argument('w', '4x6xf32', 'trainable')}, {argument('g', '1x6xf32')}"
    body = """
        %part = tensor.extract_slice %w[0, 0] [1, 6] [1, 1] : tensor<4x6xf32> to tensor<1x6xf32>"""
    body += update("new", "%part", "%g", "1x6xf32")
    body += """
        %put = tensor.insert_slice %new into %w[0, 0] [1, 6] [1, 1]
            : tensor<1x6xf32> into tensor<4x6xf32>"""
    step = parse_step(arguments, body, updates(0, "4x6xf32"), "%put : tensor<4x6xf32>")
    assert peak_temporaries(step.op) == 0
