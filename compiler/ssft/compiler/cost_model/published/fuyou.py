"""Fuyou: full fine-tuning of GPT-3 on one consumer card, states and activations on host and SSD."""

from __future__ import annotations

from typing import Any

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.search import stream
from ssft.compiler.cost_model.streaming.shapes import shape_step
from ssft.compiler.cost_model.streaming.step import Step, on_host

NAME = "fuyou"


def table() -> Table:
    """Returns the published rates beside those of schedules for the same machine."""
    data = load(NAME)
    rows = [_row(data, batch) for batch in data["batches"]]
    small, large = gpt3(data, "gpt-3 13b"), gpt3(data, "gpt-3 175b")
    best = max(rows, key=lambda row: row.computed)
    serial = best.more["without overlap"]
    rows += [
        Row(f"{small.name}, best batch", data["fuyou"], best.computed),
        Row(f"{small.name}, without overlap", data["zero_infinity"], serial, checked=False),
    ]
    return build(NAME, data, rows, [_fits(data, large)])


def gpt3(data: dict[str, Any], name: str) -> Architecture:
    """Returns the shapes of a GPT-3 model (arXiv 2005.14165, table 2.1)."""
    hidden, layers, heads = data["shapes"][name]
    return Architecture(
        name, hidden, 4 * hidden, layers, heads, heads, hidden // heads, data["vocabulary"],
        gated=False, tied=True, qkv_bias=True, output_bias=True, feed_forward_bias=True,
        norm_vectors=2, positions=data["length"],
    )  # fmt: skip


def machine(data: dict[str, Any]) -> Machine:
    """Returns the machine that the table assumes."""
    return Machine(**{key: float(value) for key, value in data["machine"].items()})


def offloaded(data: dict[str, Any], name: str, batch: int) -> Step:
    """Returns a step with its optimizer on the host."""
    return on_host(shape_step(gpt3(data, name), Workload(batch, data["length"])))


def _row(data: dict[str, Any], batch: int) -> Row:
    found = stream(offloaded(data, "gpt-3 13b", batch), machine(data)).best
    serial = found.compute_seconds + sum(found.busy().values())
    flops = found.step.flops / 1e12
    more = {
        "without overlap": flops / serial,
        "seconds": found.seconds,
        "SSD, GB": found.homes.bytes_in(found.step, "ssd") / 1e9,
    }
    label = f"gpt-3 13b, batch {batch}"
    return Row(label, data["fuyou"], flops / found.seconds, checked=False, more=more)


def _fits(data: dict[str, Any], large: Architecture) -> str:
    found = stream(offloaded(data, large.name, 1), machine(data))
    return (
        f"{large.name} at batch 1 needs {found.least / 1e9:.1f} GB on the device and fits: "
        f"{found.best.homes.bytes_in(found.best.step, 'ssd') / 1e12:.2f} TB on the SSD, "
        f"{found.best.seconds:.0f} s a step"
    )
