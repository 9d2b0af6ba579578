"""``ssft-cost parallel``: what the ranks of a parallel step hold and send."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ssft.compiler.cost_model import Architecture, Method, Storage, Workload, full
from ssft.compiler.cost_model.activations import implementation
from ssft.compiler.cost_model.methods import adapter_parameters, trainable_parameters
from ssft.compiler.cost_model.parallel import (
    Cluster,
    Job,
    Layout,
    parallel_costs,
    parallel_report,
    parse_links,
)
from ssft.compiler.cost_model.parallel.sweep import parse_sweep, points
from ssft.compiler.diagnostics import UserError

Settings = Mapping[str, int]
"""Swept settings by name, over what the command line says."""

Report = dict[str, Any]


def reports(
    parsed: argparse.Namespace, make: Callable[[argparse.Namespace], Report]
) -> list[Report]:
    """Returns a report for each point of the sweep; one without ``--sweep``.

    In a sweep, a point that cannot be split so has the reason as its ``refused`` alone.
    """
    sweeps = [parse_sweep(text) for text in parsed.sweep or ()]
    found = []
    for settings in points(sweeps):
        at = argparse.Namespace(**{**vars(parsed), **settings})
        try:
            found.append({"settings": dict(settings)} | make(at))
        except UserError as error:
            if not sweeps:
                raise
            found.append({"settings": dict(settings), "refused": error.message})
    return found


def layout(parsed: argparse.Namespace) -> Layout:
    """The layout that the options describe. A pipeline gets microbatches of one sequence."""
    microbatches = parsed.microbatches or (parsed.batch if parsed.pipeline > 1 else 1)
    return Layout(
        data=parsed.data,
        tensor=parsed.tensor,
        pipeline=parsed.pipeline,
        zero=parsed.zero,
        sequence=parsed.sequence_parallel,
        microbatches=microbatches,
        schedule=parsed.schedule,
        placement=parsed.placement,
    )


def cluster(parsed: argparse.Namespace) -> Cluster:
    """The links and the operations per second that the options describe."""
    if not 0 < parsed.utilization <= 1:
        raise UserError(f"--utilization {parsed.utilization} is not in (0, 1]", exit_code=2)
    if parsed.flops is not None and not 0 < parsed.flops < float("inf"):
        raise UserError(f"--flops {parsed.flops} is not positive", exit_code=2)
    flops = parsed.flops and parsed.flops * parsed.utilization
    return Cluster(parse_links(parsed.link) if parsed.link else (), flops)


def shapes_report(
    parsed: argparse.Namespace, shapes: Architecture, method: Method, storage: Storage
) -> Report:
    """The report of a model's shapes; ``full``: full fine-tuning under the same layout."""
    attended = 0.5 if parsed.skip_masked else 1.0
    work = Workload(parsed.batch, parsed.length, attended, parsed.input_requires_grad)
    job = Job(shapes, method, work, storage, layout(parsed), parsed.checkpointing)
    account, ranks = implementation(parsed.implementation, shapes), cluster(parsed)
    dense = parallel_report(parallel_costs(replace(job, method=full(shapes)), account), ranks)
    return {
        "name": shapes.name,
        "method": method.name,
        "implementation": parsed.implementation,
        "batch": parsed.batch * parsed.data,
        "length": parsed.length,
        "trainable_parameters": trainable_parameters(shapes, method),
        "total_parameters": shapes.parameters + adapter_parameters(shapes, method),
        **parallel_report(parallel_costs(job, account), ranks),
        "full": {key: dense[key] for key in ("memory_bytes", "sent_bytes", "seconds")},
    }


def plan_reporter(parsed: argparse.Namespace) -> Callable[[argparse.Namespace], Report]:
    """A function that reports on the plan which the options name, read once."""
    from ssft.compiler.cost_model.parallel.plan import plan_costs
    from ssft.compiler.cost_model.parallel.plan_facts import read_plan

    if parsed.model or parsed.config:
        raise UserError("give either a model or --plan FILE", exit_code=2)
    swept = {parse_sweep(text)[0] for text in parsed.sweep or ()}
    if fixed := {"batch", "length"} & swept:
        raise UserError(
            f"{' and '.join(sorted(fixed))} of a plan cannot be swept: they are compiled in",
            notes=["compile a plan for each, or give a model's name instead of --plan"],
            exit_code=2,
        )
    facts = read_plan(parsed.plan, blocks=parsed.tensor > 1 or "tensor" in swept)

    def make(at: argparse.Namespace) -> Report:
        split = replace(layout(at), microbatches=at.microbatches or at.pipeline)
        return {
            "name": facts.name,
            "method": facts.method,
            "implementation": "plan",
            "batch": None,
            "length": None,
            "trainable_parameters": facts.trainable_parameters,
            "total_parameters": facts.total_parameters,
            "plan_peak_bytes": facts.peak,
            **parallel_report(plan_costs(facts, split), cluster(at)),
        }

    return make


def plan_assumptions() -> Iterator[str]:
    """What the figures of a plan assume, as sentences."""
    yield "bytes and batch are the plan's; a run of the plan is one microbatch of one replica"
    yield "stages are cut where few bytes cross; a gradient has the type of its weight"
    yield (
        "tensor parallelism splits heads and feed-forward channels, slices of them evenly; "
        "embedding, head and norms are whole on every rank"
    )
    yield "temporaries are not counted: see peak in the plan's report"
    yield from _common()


def _common() -> Iterator[str]:
    yield (
        "ring algorithms: all-reduce 2(p - 1)/p, reduce-scatter and all-gather (p - 1)/p of the "
        "bytes; latency is not counted, and nothing is hidden behind computing"
    )
    yield "ZeRO-2 and 3 reduce gradients after each microbatch, ZeRO-3 gathers weights for each"
    yield "the fullest rank and the one that sends the most need not be the same"


def assumptions(parsed: argparse.Namespace, storage: Storage) -> Iterator[str]:
    """What the figures assume, as sentences."""
    yield (
        f"bytes of an element: weights and activations {storage.weights}, gradients "
        f"{storage.gradients}, each of two moments {storage.moments}, master copies "
        f"{storage.master}, adapters {storage.adapters}"
    )
    yield "--batch is of one replica; each has --microbatches equal parts"
    if parsed.tensor > 1 and parsed.placement == "front":
        yield "selected channels lie in front of their axis: on the first tensor-parallel ranks"
    elif parsed.tensor > 1:
        yield "selected channels are dealt out over the tensor-parallel ranks, whole heads each"
    yield from _common()


COLUMNS = ("weights", "gathered_weights", "gradients", "optimizer_state", "saved_activations")


def sweep_row(report: Report) -> Report:
    """A report as one flat row: settings, bytes by purpose and group, seconds."""
    row: Report = dict(report["settings"])
    if "refused" in report:
        return row | {"refused": report["refused"]}
    memory, sent, times = report["memory_bytes"], report["sent_bytes"], report["seconds"]
    row["ranks"] = report["ranks"]
    row |= {f"{key}_bytes": memory[key] for key in (*COLUMNS, "temporaries", "total")}
    row |= {f"sent_{key}_bytes": value for key, value in sent["by_group"].items()}
    row["sent_bytes"] = sent["total"]
    keys = ("communication", "computing")
    return row | {f"{key}_seconds": times[key] for key in keys if times[key] is not None}


def to_csv(found: list[Report]) -> str:
    """All points as comma-separated values with a header."""
    rows = [sweep_row(report) for report in found]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
