"""What plans of this compiler hold, beside the least memory of a step, item by item."""

from __future__ import annotations

from ssft.compiler.cost_model.activations import compiled
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.memory import step_memory
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load
from ssft.compiler.cost_model.published.memory_bounds import (
    STORAGE,
    Setting,
    formula_bytes,
    settings,
)

NAME = "plan-memory"
_GB = 1e9


def table() -> Table:
    """Returns the formula's bytes and the plans', with what makes the difference."""
    rows = [_row(setting) for setting in plan_settings()]
    others = [100 * ((r.computed - r.more["probabilities"]) / (r.published or 1) - 1) for r in rows]
    remark = (
        "probabilities are the only thing that takes more: without them plans would hold "
        f"{-max(others):.1f} to {-min(others):.1f} % less than the formula"
    )
    return build(NAME, load(NAME), rows, [remark])


def plan_settings() -> list[Setting]:
    """Returns what the rows are about: the settings of `memory_bounds` that plans cover."""
    methods = load(NAME)["methods"]
    return [each for each in settings() if each.method.name in methods and not each.checkpointing]


def plan_bytes(setting: Setting) -> float:
    """Returns the bytes with what plans of this compiler keep for a bf16 model."""
    work = Workload(setting.batch, setting.length)
    return step_memory(setting.shapes, setting.method, work, STORAGE, compiled).total


def plan_differences(setting: Setting) -> dict[str, float]:
    """Returns what a plan keeps more, or less, than the formula, in bytes."""
    shapes, method, tokens = setting.shapes, setting.method, setting.tokens
    layers, hidden = shapes.layers, shapes.hidden
    everything = method.name == "full"
    # Unless everything trains, the first one has no backward pass.
    attention = layers if everything else layers - 1
    query_key_value = shapes.attention_width + 2 * shapes.key_value_width
    recomputed = layers * (2 * hidden + shapes.feed_forward if everything else hidden)
    selected = (
        0
        if everything
        else sum(
            method.training(index, name).kept_inputs(shapes.linear(name))
            for index in range(layers)
            for name in ("o", "down")
        )
    )
    per_token = {
        "probabilities": 4 * attention * shapes.heads * setting.length,
        "recomputed": -2 * recomputed,
        "selected": 2 * selected,
        "first layer": -2 * (hidden + (0 if everything else query_key_value)),
        # The last norm's input, norms' statistics, two numbers of each row of logits, positions.
        "rest": 2 * hidden + 4 * (layers + attention + 1) + 8 + 4 * shapes.head_size,
    }
    return {name: tokens * count for name, count in per_token.items() if count}


def _row(setting: Setting) -> Row:
    more = {title: value / _GB for title, value in plan_differences(setting).items()}
    return Row(setting.label, formula_bytes(setting) / _GB, plan_bytes(setting) / _GB, more=more)
