"""Least memory of a step by a short formula, beside the account of everything that is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssft.compiler.cost_model.activations import fused
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.memory import Storage, step_memory
from ssft.compiler.cost_model.methods import Method, full, low_rank, s2ft, trainable_parameters
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "memory-bounds"
_GB = 1e9
STORAGE = Storage(weights=2, gradients=2, moments=4, adapters=2, adapter_moments=4)


@dataclass(frozen=True)
class Setting:
    """One row: a model, a method with its layer's (h, f) coefficients, a batch."""

    shapes: Architecture
    method: Method
    coefficients: tuple[int, int]
    batch: int
    length: int
    checkpointing: bool

    @property
    def tokens(self) -> int:
        """batch x length."""
        return self.batch * self.length

    @property
    def label(self) -> str:
        """How the row is called."""
        kept = ", checkpointing" if self.checkpointing else ""
        work = f"{self.batch} x {self.length}{kept}"
        return f"{self.shapes.name} {self.method.name} {work}"


def table() -> Table:
    """Returns the formula's bytes and the account's, with what makes the difference."""
    data = load(NAME)
    found = settings(data)
    return build(NAME, data, [_row(setting) for setting in found])


def settings(data: dict[str, Any] | None = None) -> list[Setting]:
    """Returns what the rows are about."""
    data = data or load(NAME)
    return [
        Setting(
            shapes, _method(data, shapes, name), (of["h"], of["f"]), batch, length, checkpointing
        )
        for shapes in map(named_architecture, data["models"])
        for name, of in data["formulas"].items()
        for checkpointing in (False, True)
        for batch, length in data["settings"]
    ]


def _method(data: dict[str, Any], shapes: Architecture, name: str) -> Method:
    if name == "full":
        return full(shapes)
    if name == "s2ft":
        return s2ft(shapes, data["s2ft"], budget="global")
    return low_rank(shapes, **data["lora"])


def formula_bytes(setting: Setting) -> float:
    """Returns 2P + 10T + activations + 6NV, as the table's assumptions say."""
    shapes, tokens = setting.shapes, setting.tokens
    trained = trainable_parameters(shapes, setting.method)
    resident = 2 * shapes.parameters + (12 if setting.method.adapters else 10) * trained
    h, f = setting.coefficients
    layer = 2 * tokens * (h * shapes.hidden + f * shapes.feed_forward)
    if setting.checkpointing:
        layers = 2 * tokens * shapes.layers * shapes.hidden + layer
    else:
        layers = shapes.layers * layer
    return resident + layers + 6 * tokens * shapes.vocabulary


def differences(setting: Setting) -> dict[str, float]:
    """Returns what a fused implementation keeps more, or less, than the formula, in bytes."""
    shapes, method, tokens = setting.shapes, setting.method, setting.tokens
    statistics = 4 * (2 + shapes.heads)
    ranks = sum(
        2 * getattr(method.training(0, linear.name), "rank", 0) for linear in shapes.linears()
    )
    last_norm = 2 * shapes.hidden + 4 + (2 * shapes.hidden if method.outer else 0)
    if setting.checkpointing:
        return {"statistics": tokens * (statistics + ranks), "last norm": tokens * last_norm}
    first = first_statistics = 0
    if method.name == "lora":
        first, first_statistics = shapes.hidden, 4
    elif method.name == "s2ft":
        selected = method.training(0, "o").kept_inputs(shapes.linear("o"))
        block = shapes.hidden + 2 * shapes.attention_width + 2 * shapes.key_value_width
        first, first_statistics = block - selected, 4 * (1 + shapes.heads)
    return {
        "statistics": tokens * (shapes.layers * (statistics + ranks) - first_statistics),
        "last norm": tokens * last_norm,
        "first layer": -2 * tokens * first,
    }


def account_bytes(setting: Setting) -> float:
    """Returns the bytes that the account of a fused implementation finds."""
    work = Workload(setting.batch, setting.length)
    return step_memory(
        setting.shapes, setting.method, work, STORAGE, fused, checkpointing=setting.checkpointing
    ).total


def _row(setting: Setting) -> Row:
    more = {title: value / _GB for title, value in differences(setting).items()}
    return Row(setting.label, formula_bytes(setting) / _GB, account_bytes(setting) / _GB, more=more)
