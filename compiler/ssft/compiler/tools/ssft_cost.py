"""``ssft-cost``: costs of fine-tuning from shapes alone, and published figures reproduced."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from ssft.compiler.cost_model import (
    Architecture,
    Method,
    Storage,
    Workload,
    full,
    low_rank,
    named_architecture,
    s2ft,
    sift,
)
from ssft.compiler.cost_model.activations import implementation
from ssft.compiler.cost_model.config import architecture_from_file, model_names
from ssft.compiler.cost_model.contextual import DENSE, ContextualSparsity, layer_shares
from ssft.compiler.cost_model.published import TABLES
from ssft.compiler.cost_model.report import cost_report
from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory, write_text
from ssft.compiler.tools import cost_stream
from ssft.compiler.tools.console import print_error
from ssft.compiler.tools.cost_arguments import Command, parser, share
from ssft.compiler.tools.cost_output import show_costs, show_list, show_published
from ssft.compiler.tools.cost_parallel import (
    assumptions,
    plan_assumptions,
    plan_reporter,
    reports,
    shapes_report,
    sweep_row,
    to_csv,
)
from ssft.compiler.tools.cost_parallel_output import show_parallel, show_sweep
from ssft.compiler.tools.cost_parallel_plot import plot_sweep
from ssft.compiler.tools.cost_stream_plot import plot_schedule


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tool; returns 0, 1 for a failure or figures not met, 2 for a bad command line."""
    parsed = parser().parse_args(arguments)
    try:
        check_directory(parsed.json)
        return COMMANDS[parsed.command](parsed)
    except UserError as error:
        print_error(error, "ssft-cost")
        return error.exit_code
    except BrokenPipeError:
        # The reader has seen enough. Python flushes once more at exit, and must find a place.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        print("ssft-cost: internal error: please report it with the command", file=sys.stderr)
        return 1


def _published(parsed: argparse.Namespace) -> int:
    if parsed.table not in (None, "all", *TABLES):
        close = get_close_matches(parsed.table, TABLES, n=1)
        hint = [f"did you mean '{close[0]}'?"] if close else []
        known = f"the tables are {', '.join(TABLES)}"
        raise UserError(f"no published table '{parsed.table}'", notes=[*hint, known], exit_code=2)
    names = [parsed.table] if parsed.table in TABLES else list(TABLES)
    tables = [TABLES[name]() for name in names]
    _write_json(parsed.json, {table.name: table.to_json() for table in tables})
    if parsed.json != "-":
        if parsed.table is None:
            show_list((table.name, table.title) for table in tables)
        else:
            for table in tables:
                show_published(table)
    return 0 if all(table.ok for table in tables) else 1


def _models(parsed: argparse.Namespace) -> int:
    shapes = [named_architecture(name) for name in model_names()]
    _write_json(parsed.json, {found.name: vars(found) for found in shapes})
    if parsed.json != "-":
        show_list(
            (
                found.name,
                f"{found.parameters:,} parameters, {found.layers} layers, hidden {found.hidden}, "
                f"feed-forward {found.feed_forward}, {found.heads}/{found.key_value_heads} heads",
            )
            for found in shapes
        )
    return 0


def _model(parsed: argparse.Namespace) -> int:
    shapes = _architecture(parsed)
    storage = _storage(parsed)
    attended = 0.5 if parsed.skip_masked else 1.0
    report = cost_report(
        shapes,
        _method(parsed, shapes),
        Workload(parsed.batch, parsed.length, attended, parsed.input_requires_grad),
        storage,
        implementation(parsed.implementation, shapes),
        contextual=_contextual(parsed),
        checkpointing=parsed.checkpointing,
    )
    report["assumptions"] = list(_assumptions(parsed, storage))
    _write_json(parsed.json, report)
    if parsed.json != "-":
        show_costs(report, report["assumptions"])
    return 0


def _parallel(parsed: argparse.Namespace) -> int:
    check_directory(parsed.csv)
    check_directory(parsed.plot)
    if parsed.option and parsed.model:
        raise UserError(f"two models: '{parsed.model}' and '{parsed.option}'", exit_code=2)
    parsed.model = parsed.model or parsed.option
    storage = _storage(parsed)
    if parsed.plan:
        found = reports(parsed, plan_reporter(parsed))
    else:
        if parsed.method == "sparselora":
            raise UserError(
                "contextual sparsity is not covered for parallel steps",
                notes=["--method lora holds and sends as many bytes"],
                exit_code=2,
            )
        _contextual(parsed)
        shapes = _architecture(parsed)
        method = _method(parsed, shapes)
        found = reports(parsed, lambda at: shapes_report(at, shapes, method, storage))
    assumed = list(plan_assumptions() if parsed.plan else assumptions(parsed, storage))
    if parsed.csv:
        _write(parsed.csv, to_csv(found))
    _write_json(parsed.json, {"reports": found, "assumptions": assumed})
    rows, settings = [sweep_row(report) for report in found], list(found[0]["settings"])
    title = f"{parsed.plan or parsed.model or parsed.config}"
    title += "" if parsed.plan else f", {parsed.method}"
    if parsed.plot:
        plot_sweep(parsed.plot, rows, settings, title)
    if "-" not in (parsed.json, parsed.csv):
        if parsed.sweep:
            show_sweep(rows, settings, title)
        else:
            show_parallel(found[0], assumed)
    return 0


def _stream(parsed: argparse.Namespace) -> int:
    check_directory(parsed.plot)
    found = cost_stream.report(parsed)
    found["assumptions"] = list(cost_stream.assumptions())
    _write_json(parsed.json, found)
    if parsed.plot:
        plot_schedule(parsed.plot, found)
    if parsed.json != "-":
        cost_stream.show(found, found["assumptions"])
    return 0


def _storage(parsed: argparse.Namespace) -> Storage:
    return Storage(
        parsed.weight_bytes,
        parsed.gradient_bytes,
        parsed.moment_bytes,
        parsed.adapter_bytes,
        parsed.master_bytes,
    )


def _architecture(parsed: argparse.Namespace) -> Architecture:
    if (parsed.model is None) == (parsed.config is None):
        raise UserError(
            "give either the name of a model or --config FILE.json",
            notes=[f"known: {', '.join(model_names())}"],
            exit_code=2,
        )
    return (
        architecture_from_file(parsed.config) if parsed.config else named_architecture(parsed.model)
    )


def _method(parsed: argparse.Namespace, shapes: Architecture) -> Method:
    match parsed.method:
        case "full":
            return full(shapes)
        case "s2ft":
            chosen: dict[str, float] = parsed.ratios or {
                "o": parsed.ratio,
                "down": parsed.ratio,
            }
            return s2ft(shapes, chosen, budget=parsed.budget)
        case "sift":
            return sift(shapes, parsed.density)
    return low_rank(shapes, parsed.rank, parsed.targets, magnitude=parsed.method == "dora")


def _contextual(parsed: argparse.Namespace) -> ContextualSparsity:
    given = bool(parsed.attention_sparsity or parsed.feed_forward_sparsity)
    if parsed.method != "sparselora":
        if given:
            raise UserError("contextual sparsity is for --method sparselora", exit_code=2)
        return DENSE
    if not given:
        raise UserError(
            "--method sparselora needs --feed-forward-sparsity or --attention-sparsity",
            notes=["e.g. --feed-forward-sparsity 3-30=0.99"],
            exit_code=2,
        )
    return ContextualSparsity(
        attention=layer_shares(dict(parsed.attention_sparsity or ())),
        feed_forward=layer_shares(dict(parsed.feed_forward_sparsity or ())),
        context_share=share(parsed, "context_share"),
        dense_steps=share(parsed, "dense_steps"),
    )


def _assumptions(parsed: argparse.Namespace, storage: Storage) -> Iterator[str]:
    yield "FLOPs: matrix products, a multiply-add is 2; update: 14 operations of AdamW an element"
    scores = "half of its scores" if parsed.skip_masked else "all scores, masked ones, too"
    yield f"attention computes {scores}"
    yield (
        f"bytes of an element: weights {storage.weights}, gradients {storage.gradients}, each of "
        f"two moments {storage.moments}, adapters {storage.adapters}, master copies "
        f"{storage.master}"
    )
    account = parsed.implementation.replace("-", "_")
    yield f"saved activations: see ssft.compiler.cost_model.activations.{account}"
    if parsed.method == "sparselora":
        yield "contextual sparsity changes FLOPs alone; bytes are LoRA's"
    yield (
        "total: all purposes at once; first step peak: moments are made when activations are gone. "
        "Not counted: fragmentation, workspaces, the batch"
    )


def _write_json(path: str | None, value: Any) -> None:
    if path is not None:
        _write(path, json.dumps(value, indent=1) + "\n")


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
    else:
        write_text(path, text)


COMMANDS: dict[str, Command] = {
    "published": _published,
    "models": _models,
    "model": _model,
    "parallel": _parallel,
    "stream": _stream,
}

if __name__ == "__main__":
    sys.exit(main())
