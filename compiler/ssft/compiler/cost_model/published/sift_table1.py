"""SIFT's Table 1: bytes by purpose of full and of unstructured sparse fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.memory import Storage, step_memory
from ssft.compiler.cost_model.methods import Method, full, sift
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "sift-table1"
_GIB = 2**30


def table() -> Table:
    """Returns the table's entries, published and computed."""
    data = load(NAME)
    shapes = named_architecture(data["model"])
    work = Workload(data["batch"], data["length"])
    methods = {"full": full(shapes), "sift": sift(shapes, data["density"])}
    rows = []
    for name, method in methods.items():
        computed = _purposes(shapes, method, work)
        rows += [Row(f"{name}: {key}", value, computed[key]) for key, value in data[name].items()]
    return build(NAME, data, rows)


def _purposes(shapes: Architecture, method: Method, work: Workload) -> Mapping[str, float]:
    storage = Storage(weights=2, gradients=2, moments=4)
    kept = step_memory(shapes, method, work, storage)
    checkpointed = step_memory(shapes, method, work, storage, checkpointing=True)
    values = {
        "parameters": kept.weights,
        "gradients": kept.gradients,
        "optimizer states": kept.optimizer_states,
        "activations": kept.activations,
        "activations, checkpointing": checkpointed.activations,
        "total": kept.update + kept.activations,
        "total, checkpointing": kept.update + checkpointed.activations,
    }
    return {name: value / _GIB for name, value in values.items()}
