"""FLOPs of full fine-tuning and of LoRA over those of S2FT, for Llama-2-7B."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.flops import Workload, step_flops
from ssft.compiler.cost_model.methods import full, low_rank, s2ft
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "flop-ratios"
_STRICT = "all layers alike"


def table() -> Table:
    """Returns the ratios, expected and computed."""
    data = load(NAME)
    rows = []
    for entry in data["ratios"]:
        label = f"{entry['pair']}, length {entry['length']}"
        rows.append(_row(data, label, entry, data["batch"], checked=True))
    for entry in data["times"]:
        label = f"{entry['pair']}, batch {entry['batch']} length {entry['length']}: Fig. 5's times"
        rows.append(_row(data, label, entry, entry["batch"], checked=False))
    return build(NAME, data, rows, _remarks(data))


def _row(
    data: Mapping[str, Any], label: str, entry: Mapping[str, Any], batch: int, *, checked: bool
) -> Row:
    pair, length = entry["pair"], entry["length"]
    lora_reaches_input = pair.startswith("LoRA")
    computed = _ratio(data, pair, batch, length, first=lora_reaches_input, second=False)
    alike = _ratio(data, pair, batch, length, first=True, second=True)
    return Row(label, entry["value"], computed, checked, more={_STRICT: alike})


def _ratio(
    data: Mapping[str, Any], pair: str, batch: int, length: int, *, first: bool, second: bool
) -> float:
    """FLOPs of the pair's first over its second; each with or without `input_requires_grad`."""
    shapes = named_architecture(data["model"])
    selected = s2ft(shapes, data["s2ft"], budget="global")
    other = full(shapes) if pair.startswith("full") else low_rank(shapes, **data["lora"])
    works = [Workload(batch, length, 0.5, requires) for requires in (first, second)]
    upper, lower = (
        step_flops(shapes, method, work).products
        for method, work in zip((other, selected), works, strict=True)
    )
    return upper / lower


def _remarks(data: Mapping[str, Any]) -> list[str]:
    pair, length = "LoRA / S2FT", data["ratios"][0]["length"]
    neither, both = (
        _ratio(data, pair, data["batch"], length, first=first, second=first)
        for first in (False, True)
    )
    return [
        f"LoRA / S2FT is {neither:.3f} at length {length} if LoRA, too, leaves out what its first "
        f"layer does not need, and {both:.3f} if both compute gradients down to the first layer's "
        f"input (column '{_STRICT}')",
        "times of Fig. 5 contain optimizer traffic, launches and dropout, which FLOPs do not",
    ]
