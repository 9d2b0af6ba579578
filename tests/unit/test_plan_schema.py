"""Reading what a plan says about itself."""

from __future__ import annotations

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import (
    ArgumentInfo,
    Mask,
    Permutation,
    StepSignature,
    Tile,
    WeightsFile,
    item_bytes,
    read_signature,
)
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

PLAN = """
module attributes {
    ssft.version = 1 : i64, ssft.method = "s2ft", ssft.source = "model.py",
    ssft.max_grad_norm = 1.0 : f64,
    ssft.weights = {file = "plan.safetensors", sha256 = "00ff"},
    ssft.permutations = {g = {size = 4 : i64, front = array<i64: 2>}},
    ssft.optimizer = {kind = "AdamW", lr = 1.0e-3 : f64, betas = array<f64: 0.9, 0.99>,
                      amsgrad = false}} {
  func.func @step(
      %w: tensor<4x3xbf16> {ssft.role = "trainable", ssft.name = "w", ssft.aliases = ["u"],
        ssft.permuted = ["g", "3"],
        ssft.mask = {rows = array<i64: 2>, columns = array<i64>, combine = "union"}},
      %m: tensor<1x3xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg",
        ssft.tile = {rows = array<i64: 2>}},
      %n: tensor<3x0xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "exp_avg",
        ssft.tile = {rows = array<i64: 0, 1, 3>, columns = array<i64>}},
      %lr: tensor<f64> {ssft.role = "hyper", ssft.name = "lr"},
      %y: tensor<2xi64> {ssft.role = "input", ssft.name = "labels",
        ssft.range = array<i64: 0, 10>, ssft.ignore = -100 : i64}
  ) -> (tensor<f64> {ssft.role = "loss"},
        tensor<1x3xf32> {ssft.updates_arg = 1 : i64},
        tensor<4x3xbf16> {ssft.updates_arg = 0 : i64}) {
    return %lr, %m, %w : tensor<f64>, tensor<1x3xf32>, tensor<4x3xbf16>
  }
}
"""


def read(text: str) -> StepSignature:
    return read_signature(ir.Module.parse(text, new_context()))


def test_arguments() -> None:
    w, m, n, lr, y = read(PLAN).arguments
    assert w == ArgumentInfo(
        *(0, "trainable", "w", (4, 3), "bf16"),
        aliases=("u",),
        mask=Mask(rows=(2,), columns=(), combine="union"),
        permuted=("g", "3"),
    )
    assert (w.elements, w.bytes) == (12, 24)
    assert m.tile == Tile(rows=(2,))
    assert (n.tile, n.bytes) == (Tile(rows=(0, 1, 3), columns=()), 0)
    assert (lr.shape, lr.elements, lr.bytes) == ((), 1, 8)
    assert (y.range, y.ignore) == ((0, 10), -100)


def test_module_attributes() -> None:
    signature = read(PLAN)
    assert signature.weights == WeightsFile("plan.safetensors", "00ff")
    assert signature.permutations["g"].order() == (2, 0, 1, 3)
    assert signature.optimizer == {
        "kind": "AdamW", "lr": 1e-3, "betas": (0.9, 0.99), "amsgrad": False
    }  # fmt: skip
    assert (signature.version, signature.method, signature.source) == (1, "s2ft", "model.py")
    assert signature.max_grad_norm == 1.0


def test_questions() -> None:
    signature = read(PLAN)
    assert [a.name for a in signature.parameters] == ["w"]
    assert [a.name for a in signature.inputs] == ["labels"]
    assert [a.index for a in signature.states_of("w")["exp_avg"]] == [1, 2]
    update = signature.update_of(0)
    assert update is not None
    assert update.index == 2
    assert signature.update_of(4) is None
    assert [r.index for r in signature.results_with_role("loss")] == [0]


def test_a_permutation_brings_its_front_to_the_front() -> None:
    assert Permutation(5, (4, 1)).order() == (4, 1, 0, 2, 3)
    assert Permutation(3, ()).order() == (0, 1, 2)


def test_a_signature_outlives_the_module() -> None:
    signature = read(PLAN)
    hash(signature.arguments)  # plain data, no handles
    assert signature.arguments == read(PLAN).arguments


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@step(", "@other(", "no function '@step'"),
        ('ssft.role = "hyper", ', "", "argument 3 of '@step' has the role None"),
        ('"hyper"', '"hiper"', "argument 3 of '@step' has the role 'hiper'"),
        (', ssft.name = "lr"', "", "argument 3 of '@step' has no 'ssft.name'"),
        (', ssft.state = "exp_avg",\n        ssft.tile = {rows = array<i64: 2>}', "",
         "argument 1 of '@step' has the role 'state' but no 'ssft.state'"),
        ("array<i64: 0, 10>", "array<i64: 0>", "not a pair"),
        ("{rows = array<i64: 2>, columns", "{lines = array<i64: 2>, columns",
         "unknown entries ['lines'] in its Mask"),
        ('{ssft.role = "loss"}', "{}", "result 0 of '@step' has neither"),
        ("ssft.updates_arg = 1 ", "ssft.updates_arg = 9 ", "updates argument 9"),
        ("ssft.updates_arg = 1 ", "ssft.updates_arg = 3 ", "which has another type"),
        (', sha256 = "00ff"', "", "needs the entries 'file' and 'sha256'"),
        ('"model.py"', "affine_map<(d0) -> (d0)>", "a kind that plans do not use"),
    ],
)  # fmt: skip
def test_mistakes(old: str, new: str, message: str) -> None:
    assert old in PLAN
    with pytest.raises(UserError) as caught:
        read(PLAN.replace(old, new, 1))
    assert message in caught.value.message


def test_dynamic_shapes_are_refused() -> None:
    text = (
        """func.func @step(%x: tensor<?xf32> {ssft.role = "input", ssft.name = "x"}) { return }"""
    )
    with pytest.raises(UserError, match="whose shape is not static"):
        read(text)


def test_sizes_of_element_types() -> None:
    assert [item_bytes(t) for t in ("i1", "bf16", "f32", "i64")] == [1, 2, 4, 8]
    with pytest.raises(UserError, match="cannot be stored"):
        item_bytes("tf32")
