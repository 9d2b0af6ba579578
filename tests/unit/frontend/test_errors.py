"""Mistakes in a model file are explained, with the user's line where there is one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import fx, nn

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture, capture_file, load_model_file
from ssft.compiler.frontend.step import _refuse_fused_attention

GOOD = """
import torch
def model():
    return torch.nn.Linear(3, 2)
def batch():
    return {"input": torch.ones(4, 3)}
def loss(outputs, batch):
    return outputs.square().mean()
"""


@pytest.fixture
def error_of(tmp_path):
    """Loads and captures a model file; returns the message it is refused with."""

    def run(text, **options):
        file = tmp_path / "model.py"
        file.write_text(text)
        with pytest.raises(UserError) as raised:
            capture_file(load_model_file(file), **options)
        return str(raised.value).replace(str(tmp_path), "")

    return run


def test_good_file_is_captured(tmp_path):
    (tmp_path / "model.py").write_text(GOOD)
    captured = capture_file(load_model_file(tmp_path / "model.py"))
    assert set(captured.weights) == {"weight", "bias"}


def replaced(name, body):
    """GOOD with the body of one function replaced."""
    lines = GOOD.splitlines()
    position = next(i for i, line in enumerate(lines) if line.startswith(f"def {name}("))
    return "\n".join([*lines[: position + 1], f"    {body}", *lines[position + 2 :]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "/model.py: error: the model file does not define model()"),
        ("def model(): pass", "the model file does not define batch()"),
        ("model = 3", "model is int, not a function"),
        ("def model(:", "/model.py:1:11: error: syntax error: invalid syntax"),
        ("import nowhere_to_be_found", "/model.py:1:1: error: running the model file failed: Mod"),
        (GOOD + "max_grad_norm = 'much'", "max_grad_norm is 'much', not a number"),
        (GOOD + "max_grad_norm = 0.0", "max_grad_norm is 0.0, not a positive number"),
        (replaced("model", "return 3"), "model() returned int, not a torch.nn.Module"),
        (replaced("model", "return {}['a']"), "/model.py:4:12: error: model() failed: KeyError"),
        (replaced("batch", "return [1]"), "batch() returned list, not a mapping of names"),
        (replaced("batch", "return {'x': 1}"), "batch() has no tensor"),
        (replaced("batch", "return {1: torch.ones(1)}"), "batch() has the key 1, which is no str"),
        (replaced("batch", "return {'x': [1]}"), "batch() has a list under 'x', which is no ten"),
        (replaced("loss", "return outputs"), "returned a loss of shape [4, 2], not a scalar"),
        (replaced("loss", "return 3.0"), "loss(outputs, batch) returned float, not a tensor"),
        (replaced("loss", "return outputs.sum().int()"), "of type torch.int32, not a float"),
        (replaced("loss", "return (outputs * 0).detach().sum()"), "does not depend on any train"),
        (replaced("loss", "return batch['y']"), "/model.py:8:12: error: tracing the model failed"),
        (GOOD.replace("def loss", "def unused"), "shape [4, 2], not a scalar loss"),
        (
            GOOD.replace("def loss", "def unused").replace("4, 3)}", "4, 3), 'y': 2}"),
            "batch() has 'y', which forward() of Linear does not take",
        ),
        (
            replaced("loss", "return outputs.sum() if outputs.sum() > 0 else outputs.mean()"),
            "/model.py:8:29: error: the model's control flow or shapes depend on the values",
        ),
        (
            replaced("loss", "return outputs[outputs > 0].mean()"),
            "/model.py",
        ),
        (GOOD + "def optimizer(p): return torch.optim.LBFGS(p)", "LBFGS is not supported"),
        (
            GOOD + "def optimizer(p): return [torch.optim.SGD(p), torch.optim.SGD(p)]",
            "builtins.list is not supported",
        ),
    ],
)
def test_messages(text, message, error_of):
    assert message in error_of(text)


def test_own_frames_are_shown_innermost_last(error_of):
    text = GOOD.replace(
        "def model():", "def helper():\n    return 1 / 0\ndef model():\n    helper()"
    )
    lines = error_of(text).splitlines()
    assert lines[0].startswith("/model.py:4:")
    assert "/model.py:6: in model: helper()" in lines[1]
    assert "/model.py:4: in helper: return 1 / 0" in lines[2]
    assert len(lines) == 3


def test_outputs_without_a_loss(from_batch):
    model = from_batch(lambda m, b: {"logits": m.layer(b["x"])}, layer=nn.Linear(3, 2))
    with pytest.raises(UserError, match=r"output \(dict\) has no loss"):
        capture(model, {"x": torch.ones(4, 3)})


def test_all_unsupported_operations_are_listed_at_once(from_batch):
    def forward(m, b):
        hidden = m.layer(b["x"])
        sorted_ = hidden.sort(-1).values.sum() + (hidden + 1).sort(-1).values.sum()
        return sorted_ + hidden.median() + torch.cdist(hidden, hidden).sum()

    model = from_batch(forward, layer=nn.Linear(3, 2))
    with pytest.raises(UserError) as raised:
        capture(model, {"x": torch.ones(4, 3)})
    error = raised.value
    assert "aten.median (1)" in error.message
    assert "aten._cdist_forward (1)" in error.message
    assert any(f"{__file__}:" in note for note in error.notes)


def test_operations_rejected_by_a_conversion_are_listed(from_batch):
    def forward(m, b):
        hidden = m.layer(b["x"])
        return hidden.sort(-1).values[..., 0].sum() + (hidden * 2.0).sort(-1).values.mean()

    model = from_batch(forward, layer=nn.Linear(3, 2))
    with pytest.raises(UserError, match=r"sort \(2\)") as raised:
        capture(model, {"x": torch.ones(4, 3)})
    assert raised.value.location.file == __file__


def test_unknown_random_operations_are_refused(from_batch):
    def forward(m, b):
        return m.layer(b["x"])[torch.multinomial(torch.ones(4), 2)].sum()

    model = from_batch(forward, layer=nn.Linear(3, 2))
    with pytest.raises(UserError, match=r"aten\.multinomial"):
        capture(model, {"x": torch.ones(4, 3)})


def test_fused_attention_is_refused():
    graph = fx.Graph()
    x = graph.placeholder("x")
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    graph.output(graph.call_function(kernel, (x, x, x)))
    with pytest.raises(UserError, match="_scaled_dot_product_flash_attention_for_cpu"):
        _refuse_fused_attention(graph)


def test_missing_file():
    with pytest.raises(UserError, match=r"there is no model file 'no\.py'"):
        load_model_file("no.py")


def test_neighbours_can_be_imported_and_stderr_is_the_users(tmp_path, capsys):
    (tmp_path / "neighbour_of_model.py").write_text("SIZE = 3\n")
    text = GOOD.replace("import torch", "import sys, torch").replace(
        "    return torch.nn.Linear(3, 2)",
        "    from neighbour_of_model import SIZE\n    return torch.nn.Linear(SIZE, 2)",
    )
    text = text.replace(
        "    return outputs.sq", "    print('hello', file=sys.stderr)\n    return outputs.sq"
    )
    (tmp_path / "model.py").write_text(text)
    before = list(sys.path)
    capture_file(load_model_file(tmp_path / "model.py"))
    assert sys.path == before
    assert "hello" in capsys.readouterr().err


def test_importing_the_frontend_does_not_import_torch():
    code = "import ssft.compiler.frontend, sys; print('torch' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert child.stdout.strip() == "False", child.stderr
