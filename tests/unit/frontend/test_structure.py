"""What later passes rely on in a captured module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from ssft.compiler.analysis.step import body, find_step, operations, owner, terminator
from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture, capture_file, load_model_file
from ssft.compiler.frontend.lower import to_linalg
from ssft.compiler.frontend.optimizers import read_optimizer
from ssft.compiler.plan_schema import read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir, register_torch_dialect

ALLOWED = {"linalg", "tensor", "arith", "math", "func", "ssft", "builtin"}


@pytest.fixture(scope="module")
def llama(examples):
    return capture_file(load_model_file(examples / "tiny_llama.py"), max_grad_norm=1.0)


def test_one_block_of_allowed_dialects(llama):
    names = set()

    def visit(op):
        names.add(op.name)
        return ir.WalkResult.ADVANCE

    llama.module.operation.walk(visit)
    assert {name.split(".")[0] for name in names} <= ALLOWED
    assert len(llama.module.body.operations) == 1
    assert len(find_step(llama.module.operation).regions[0].blocks) == 1
    assert "ssft.scatter_add" in names  # the gradient of the embedding
    assert llama.module.operation.verify()


def test_arguments_and_results(llama):
    signature = read_signature(llama.module)
    order = ["trainable", "frozen", "state", "hyper", "step", "seed", "input"]
    roles = [a.role for a in signature.arguments]
    assert roles == sorted(roles, key=order.index)
    trainable = [a for a in signature.arguments if a.role == "trainable"]
    assert {a.name for a in trainable} == set(llama.weights)
    for argument in trainable:
        assert argument.shape == tuple(llama.weights[argument.name].shape)
        states = signature.states_of(argument.name)
        assert set(states) == {"exp_avg", "exp_avg_sq"}
        assert all(state.shape == argument.shape for [state] in states.values())
        assert signature.update_of(argument.index) is not None
    scalars = {a.name: (a.shape, a.dtype) for a in signature.with_role("hyper", "step")}
    assert scalars == {"lr": ((), "f64"), "step": ((), "f64")}
    assert [result.role for result in signature.results].count("loss") == 1
    assert signature.results[0].role == "loss"
    count = 3 * len(trainable) + 1
    updated = [result.updates_arg for result in signature.results[1 : 1 + count]]
    assert updated == sorted(updated)
    gradients = signature.results[1 + count :]
    assert {result.role for result in gradients} == {"gradient"}
    assert [(g.name, g.shape) for g in gradients] == [(a.name, a.shape) for a in trainable]


def test_text_round_trips(llama):
    text = llama.module.operation.get_asm(enable_debug_info=True)
    with new_context():
        assert read_signature(ir.Module.parse(text)) == read_signature(llama.module)


def test_the_torch_stage_can_be_resumed(llama):
    context = new_context()
    register_torch_dialect(context)
    with context, ir.Location.unknown():
        module = ir.Module.parse(llama.torch_module_text)
        assert "torch.aten.mm" in str(module)
        to_linalg(module)
    assert str(module) == str(llama.module)


def is_elementwise(op):
    if op is None or op.name != "linalg.generic" or len(op.results) != 1:
        return False
    if "reduction" in str(op.attributes["iterator_types"]):
        return False
    maps = [ir.AffineMapAttr(a).value for a in op.attributes["indexing_maps"]]
    identity = ir.AffineMap.get_identity(maps[-1].n_dims)
    whole = [m for m in maps if m.n_dims == 0 or len(m.results)]
    return maps[-1] == identity and all(m == identity for m in whole)


def closure_leaves(value, type_):
    """Follows element-wise operations of one type back from `value`."""
    leaves, stack, seen = [], [value], set()
    while stack:
        value = stack.pop()
        if hash(value) in seen:
            continue
        seen.add(hash(value))
        op = owner(value)
        if value.type == type_ and is_elementwise(op):
            stack += list(op.operands)[:-1]
        else:
            leaves.append(value)
    return leaves


def test_updates_are_elementwise_in_the_gradient(llama):
    """The leaves of an update are the parameter, its states, 0-d scalars and the gradient."""
    step = find_step(llama.module.operation)
    signature = read_signature(llama.module)
    for argument in signature.with_role("trainable"):
        check_update(step, signature, argument)


def check_update(step, signature, argument):
    with step.context:
        parameter = body(step).arguments[argument.index]
        states = {a.index for [a] in signature.states_of(argument.name).values()}
        result = signature.update_of(argument.index)
        leaves = closure_leaves(terminator(step).operands[result.index], parameter.type)
        full_size = [leaf for leaf in leaves if leaf.type == parameter.type]
        assert all(
            ir.RankedTensorType(leaf.type).rank == 0 for leaf in leaves if leaf not in full_size
        )
        arguments = [leaf for leaf in full_size if owner(leaf) is None]
        assert {ir.BlockArgument(leaf).arg_number for leaf in arguments} == {
            argument.index,
            *states,
        }
        assert len(full_size) - len(arguments) == 1, argument.name


def test_norm_is_a_full_reduction_of_each_gradient(llama):
    """Every gradient meets the norm in a reduction of its own to a 0-d tensor."""
    step = find_step(llama.module.operation)
    squares = [
        op
        for op in operations(step)
        if op.name == "linalg.generic"
        and "<optimizer>" in str(op.location)
        and "reduction" in str(op.attributes["iterator_types"])
    ]
    sizes = sorted(list(ir.RankedTensorType(op.operands[0].type).shape) for op in squares)
    assert sizes == sorted(list(weight.shape) for weight in llama.weights.values())
    for op in squares:
        assert ir.RankedTensorType(op.results[0].type).rank == 0
        assert "parallel" not in str(op.attributes["iterator_types"])


def test_every_operation_has_a_location(llama, examples):
    step = find_step(llama.module.operation)
    user_file = f'"{(examples / "tiny_llama.py").resolve()}":'
    kinds = {"forward": 0, "backward": 0, "optimizer": 0}
    for op in operations(step):
        text = str(op.location)
        if op.name != "func.return":
            assert user_file in text, (op.name, text)
            label = re.match(r'loc\(callsite\("<(backward|optimizer)>" at ', text)
            kinds[label[1] if label else "forward"] += 1
    assert min(kinds.values()) > 50
    multiplications = [op for op in operations(step) if op.name == "linalg.matmul"]
    backward = [op for op in multiplications if "<backward>" in str(op.location)]
    # Each product of the forward pass has two in the backward pass.
    assert len(backward) == 2 * (len(multiplications) - len(backward))


def lines_of(path, needle):
    return [i for i, line in enumerate(path.read_text().splitlines(), 1) if needle in line]


def test_lines_are_the_users(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(
        "import torch\n"
        "from torch import nn\n"
        "def helper(x):\n"
        "    return torch.tanh(x)\n"
        "class Model(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(3, 2)\n"
        "    def forward(self, x):\n"
        "        return helper(self.layer(x))\n"
        "def model():\n"
        "    return Model()\n"
        "def batch():\n"
        "    return {'x': torch.ones(4, 3)}\n"
        "def loss(outputs, batch):\n"
        "    return torch.exp(outputs).mean()\n"
    )
    captured = capture_file(load_model_file(file))
    text = captured.module.operation.get_asm(enable_debug_info=True, use_local_scope=True)
    for operation, needle in [
        ("math.tanh", "tanh"),
        ("math.exp ", "exp"),
        ("linalg.matmul", "self.layer("),
    ]:
        (line,) = lines_of(file, needle)
        found = [part for part in text.splitlines() if operation in part or "matmul" in part]
        assert any(f'"{file}":{line}:0' in part for part in found), operation


COMMENTS = ("the optimizer's line", "who asks for it")


def made_with_helper(parameters):
    return torch.optim.SGD(parameters, lr=0.1)  # the optimizer's line


def asks_helper(parameters):
    return made_with_helper(parameters)  # who asks for it


def optimizer_locations(captured) -> set[str]:
    step = find_step(captured.module.operation)
    texts = {str(op.location) for op in operations(step) if op.name != "func.return"}
    return {text for text in texts if "<optimizer>" in text}


def test_updates_lead_to_where_the_optimizer_is_made():
    model, batch = nn.Linear(3, 2), {"input": torch.ones(4, 3)}

    def loss(outputs, batch):
        return outputs.square().mean()

    captured = capture(model, batch, loss=loss, optimizer=asks_helper)
    here = Path(__file__)
    inner, outer = (lines_of(here, f"  # {needle}")[0] for needle in COMMENTS)
    (found,) = optimizer_locations(captured)
    assert found.startswith(f'loc(callsite("<optimizer>" at callsite("{here}":{inner}:0 at ')
    assert f'"{here}":{outer}:0' in found
    # Whoever gives one that is made already, or none, has no line that could be seen.
    ready = torch.optim.SGD(model.parameters(), lr=0.1)
    for given in (ready, None):
        captured = capture(model, batch, loss=loss, optimizer=given)
        assert optimizer_locations(captured) == {'loc("<optimizer>")'}


def test_making_optimizers_is_left_as_it_was():
    before = torch.optim.Optimizer.__init__
    with pytest.raises(UserError):
        read_optimizer(lambda parameters: 1 / 0, {})
    assert torch.optim.Optimizer.__init__ is before


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)
        self.fixed = nn.Linear(3, 3).requires_grad_(False)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", torch.zeros(2))

    def forward(self, x, scale, flag, nothing=None):
        self.count += 1
        self.last[0] = x.detach().mean()
        assert nothing is None and flag
        return self.fixed(self.used(x)).square().mean() * scale


def test_unused_and_constant_inputs(train, run_graph):
    def optimizer(parameters):
        return torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5)

    model = Unused().double()
    batch = {
        "x": torch.randn(2, 3).double(),
        "scale": 3,
        "flag": True,
        "nothing": None,
    }
    captured = capture(model, batch, optimizer=optimizer)
    assert run_graph(captured).worst(train(model, batch, optimizer)) < 1e-13
    roles = {a.name: a.role for a in captured.arguments if a.role != "state"}
    assert roles["used.weight"] == "trainable"
    # PyTorch does not even decay a parameter without a gradient.
    assert roles["unused.weight"] == roles["fixed.weight"] == roles["count"] == "frozen"
    assert {a.name for a in captured.arguments if a.role == "state"} == {"used.weight", "used.bias"}
    assert {a.name for a in captured.updates if a.role == "frozen"} == {"count", "last"}
    assert [a.name for a in captured.arguments if a.role == "input"] == ["x"]


def test_unused_batch_entries_stay_arguments():
    def loss(outputs, batch):
        return outputs.sum()

    captured = capture(
        nn.Linear(3, 1), {"input": torch.ones(2, 3), "extra": torch.ones(5)}, loss=loss
    )
    inputs = [a.name for a in captured.arguments if a.role == "input"]
    assert inputs == ["input", "extra"]
