"""S2FT's Figure 5, top: bytes of a step of S2FT, LoRA, DoRA and full fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ssft.compiler.cost_model.activations import eager, eager_partial
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.memory import Memory, step_memory
from ssft.compiler.cost_model.methods import Method, full, low_rank, s2ft
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "s2ft-fig5"
_GB = 1e9
_FIRST = "first step, frozen input"


def table() -> Table:
    """Returns the figure's bars, published and computed."""
    data = load(NAME)
    rows = [
        _row(data, named_architecture(model), method, setting, bar)
        for model, bars in data["bars"].items()
        for method, values in bars.items()
        for setting, bar in zip(data["settings"], values, strict=True)
    ]
    return build(NAME, data, rows, [*_remarks(rows), _partial(data), _without_loss(data)])


def _row(
    data: dict[str, Any], shapes: Architecture, name: str, setting: list[int], bar: float | str
) -> Row:
    batch, length = setting
    method = _method(data, shapes, name)
    memory = step_memory(shapes, method, Workload(batch, length, input_requires_grad=True))
    first = step_memory(shapes, method, Workload(batch, length)).first_step / _GB
    computed = (memory.first_step if name == "full" else memory.total) / _GB
    return Row(
        label=f"{shapes.name} {name} batch {batch} length {length}",
        published=None if isinstance(bar, str) else bar,
        computed=computed,
        checked=name not in data["unchecked"],
        capacity=data["capacity"],
        more={_FIRST: first},
    )


def _method(data: dict[str, Any], shapes: Architecture, name: str) -> Method:
    if name == "full":
        return full(shapes)
    if name == "s2ft":
        return s2ft(shapes, data["s2ft"], budget="global")
    return low_rank(shapes, **data["lora"], magnitude=name == "dora")


def _errors(data: dict[str, Any], gigabytes: Callable[[Memory], float], account: ModuleType) -> str:
    """Range of the S2FT bars' errors under another reading."""
    found = []
    for model, bars in data["bars"].items():
        shapes = named_architecture(model)
        for (batch, length), bar in zip(data["settings"], bars["s2ft"], strict=True):
            work = Workload(batch, length, input_requires_grad=True)
            memory = step_memory(shapes, _method(data, shapes, "s2ft"), work, None, account)
            found.append(100 * (gigabytes(memory) / bar - 1))
    return f"{min(found):+.1f} to {max(found):+.1f} %"


def _partial(data: dict[str, Any]) -> str:
    errors = _errors(data, lambda memory: memory.total / _GB, eager_partial)
    return (
        "if copies of the selected channels were kept instead of whole inputs, as section 3.3 "
        f"of the paper describes, S2FT's bars would differ by {errors}"
    )


def _without_loss(data: dict[str, Any]) -> str:
    errors = _errors(data, lambda memory: (memory.total - memory.temporaries) / _GB, eager)
    return f"without the loss's three fp32 tensors, S2FT's bars would differ by {errors}"


def _remarks(rows: list[Row]) -> list[str]:
    """What the stricter reading of the published script would give."""
    errors = {
        row.label: row.more[_FIRST] / row.published - 1
        for row in rows
        if row.published and row.checked
    }
    worst = max(errors, key=lambda label: abs(errors[label]))
    outside = sum(abs(error) > 0.05 for error in errors.values())
    return [
        "the published script runs one step, so no moments are there yet when activations are, and "
        "nothing below the first trained matrix is kept: this reading is the column "
        f"'{_FIRST}'; {outside} bars differ by more than 5 % from it, the worst by "
        f"{100 * errors[worst]:.1f} % ({worst})",
    ]
