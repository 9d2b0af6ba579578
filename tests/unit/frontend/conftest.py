"""Training with PyTorch, running captured graphs, and running captured steps natively."""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ssft.compiler.frontend import CapturedStep

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples"


@dataclass
class Trained:
    """Losses of some steps, and what parameters, buffers and optimizer states became.

    `values` is keyed by (name, state key or None).
    """

    losses: list[float] = field(default_factory=list)
    values: dict[tuple[str, str | None], Tensor] = field(default_factory=dict)

    def worst(self, other: Trained) -> float:
        """The largest absolute difference of losses and of values that both have."""
        shared = [key for key in self.values if key in other.values]
        assert shared
        pairs = [(self.values[key].double(), other.values[key].double()) for key in shared]
        differences = [(a - b).abs().max().item() for a, b in pairs]
        losses = zip(self.losses, other.losses, strict=True)
        return max(*differences, *(abs(a - b) for a, b in losses))


def train(
    model: nn.Module,
    batch: dict[str, Any],
    optimizer: Callable[..., torch.optim.Optimizer],
    loss: Callable[..., Tensor] | None = None,
    max_grad_norm: float | None = None,
    steps: int = 3,
) -> Trained:
    """Trains a copy of `model` as any PyTorch program would."""
    model = copy.deepcopy(model)
    instance = optimizer(list(model.parameters()))
    parameters = inspect.signature(model.forward).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    inputs = {key: value for key, value in batch.items() if open_ended or key in parameters}
    result = Trained()
    for _ in range(steps):
        outputs = model(**inputs)
        if loss is not None:
            value = loss(outputs, batch)
        else:
            value = outputs if isinstance(outputs, Tensor) else outputs.loss
        instance.zero_grad()
        value.backward()
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        instance.step()
        result.losses.append(value.item())
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        result.values[name, None] = tensor.detach()
    for name, parameter in model.named_parameters():
        states = instance.state.get(parameter, {})
        result.values |= {(name, key): value for key, value in states.items() if key != "step"}
    return result


def initial_arguments(captured: CapturedStep, lr: float | None = None, seed: int = 0) -> list:
    """Returns the values with which training starts, in argument order."""
    scalars = {
        "hyper": torch.tensor(captured.optimizer.lr if lr is None else lr, dtype=torch.float64),
        "step": torch.zeros((), dtype=torch.float64),
        "seed": torch.tensor(seed),
    }
    values = []
    for argument in captured.arguments:
        if argument.role == "state":
            values.append(torch.zeros_like(captured.weights[argument.name]))
        elif argument.role == "input":
            values.append(captured.example_batch[argument.name])
        elif argument.role in scalars:
            values.append(scalars[argument.role])
        else:
            values.append(captured.weights[argument.name].clone())
    return values


def _trained(captured: CapturedStep, losses: list[float], values: list[Tensor]) -> Trained:
    pairs = zip(captured.arguments, values, strict=True)
    return Trained(losses, {(argument.name, argument.state): value for argument, value in pairs})


def run_graph(captured: CapturedStep, steps: int = 3, **start: Any) -> Trained:
    """Runs the captured FX graph with PyTorch."""
    values = initial_arguments(captured, **start)
    position = {id(argument): i for i, argument in enumerate(captured.arguments)}
    losses = []
    with torch.no_grad():
        for _ in range(steps):
            loss, *results = captured.graph(*values)
            losses.append(loss.item())
            updates = results[: len(captured.updates)]
            for argument, value in zip(captured.updates, updates, strict=True):
                values[position[id(argument)]] = value
    return _trained(captured, losses, values)


def run_native(captured: CapturedStep, directory: Path, steps: int = 3, **start: Any) -> Trained:
    """Runs ``@step`` through MLIR's stock lowering in a child process."""
    module, before, after = (directory / name for name in ("step.mlir", "in.npz", "out.npz"))
    module.write_text(captured.module.operation.get_asm(enable_debug_info=True))
    values = initial_arguments(captured, **start)
    np.savez(before, **{str(i): value.numpy() for i, value in enumerate(values)})
    command = [sys.executable, str(HERE / "native_step.py"), module, before, after, str(steps)]
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    results = np.load(after)
    final = [torch.from_numpy(results[str(i)]) for i in range(len(values))]
    return _trained(captured, list(results["losses"]), final)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session", name="train")
def train_fixture() -> Callable[..., Trained]:
    return train


@pytest.fixture(scope="session", name="run_graph")
def run_graph_fixture() -> Callable[..., Trained]:
    return run_graph


@pytest.fixture(name="run_native")
def run_native_fixture(tmp_path: Path) -> Callable[..., Trained]:
    return lambda captured, **options: run_native(captured, tmp_path, **options)


class FromBatch(nn.Module):
    """A model made of a function of (module, batch); the given modules are its parameters."""

    def __init__(self, function: Callable[..., Tensor], **members: Any) -> None:
        super().__init__()
        self.function = function
        for name, member in members.items():
            setattr(self, name, member)

    def forward(self, **batch: Any) -> Tensor:
        return self.function(self, batch)


@pytest.fixture(scope="session")
def from_batch() -> type[FromBatch]:
    return FromBatch
