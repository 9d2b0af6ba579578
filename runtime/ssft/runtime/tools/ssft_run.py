"""``ssft-run``: train or evaluate a plan."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from ssft.compiler.batches import Batch, open_batches
from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory, write_text
from ssft.compiler.tools.console import Progress, print_error
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.comparison import HALF_TOLERANCE, TOLERANCE, Comparison
from ssft.runtime.memory_budget import parse_bytes
from ssft.runtime.session import NonFiniteLossError, Session
from ssft.runtime.tools.display import (
    TrainingDisplay,
    print_comparison,
    print_start,
    print_summary,
    print_verdict,
    warn_of_training_mode,
)
from ssft.runtime.training import StepRecord, summary, train

_OF_TRAINING = ("save", "adapter", "checkpoint", "compare_to")
"""Options about what training made."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tool; returns 0, 1 for a diagnosed failure, 2 for a bad command line."""
    if not faulthandler.is_enabled():
        faulthandler.enable()
    # Threads that spin for long while they wait starve each other where cores are shared. Read when
    # the OpenMP runtime is loaded, which is later.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    parsed = _parser().parse_args(arguments)
    try:
        return _run(parsed)
    except UserError as error:
        print_error(error, "ssft-run")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        print("ssft-run: internal error: please report it with the plan", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssft-run", description="Train or evaluate a plan.", allow_abbrev=False
    )
    parser.add_argument("plan", help="plan.mlir; its weights lie beside it")
    _add_device(parser)
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        metavar="FILE",
        help=".npz or .safetensors arrays, or a .py file with batches() "
        "(default: the model file's own batch, over and over)",
    )
    data.add_argument("--data-seed", type=int, default=0, help="passed to batches() (default 0)")
    data.add_argument("--evaluate", metavar="SPLIT", help="mean loss of a split; do not train")
    training = parser.add_argument_group("training")
    training.add_argument("--steps", type=int, default=10, help="how many (default 10)")
    training.add_argument("--lr", type=float, help="learning rate (default: the plan's)")
    training.add_argument("--seed", type=int, help="seed of the model's random numbers")
    training.add_argument(
        "--weights", metavar="FILE", help="start from these (what --save wrote), not the plan's own"
    )
    training.add_argument("--resume", metavar="FILE", help="continue from this checkpoint")
    training.add_argument("--allow-non-finite", action="store_true", help="go on after NaN losses")
    output = parser.add_argument_group("output")
    output.add_argument("--save", metavar="FILE", help="weights, in the model's names and layout")
    output.add_argument("--adapter", metavar="FILE", help="what training changed, as an adapter")
    output.add_argument("--checkpoint", metavar="FILE", help="all that is needed to --resume")
    output.add_argument(
        "--checkpoint-every",
        type=int,
        default=100,
        metavar="N",
        help="also every N steps (default 100)",
    )
    output.add_argument("--json", metavar="FILE", help="losses and measurements ('-': stdout)")
    output.add_argument(
        "--compare-to", choices=["torch"], help="run masked dense PyTorch beside, and compare"
    )
    output.add_argument(
        "--tolerance",
        type=float,
        metavar="R",
        help="largest relative difference of loss and states that passes --compare-to (default "
        f"{TOLERANCE:g}; of one step of half-precision weights {HALF_TOLERANCE:g})",
    )
    output.add_argument("--model", metavar="FILE", help="model file (default: the plan's)")
    loudness = output.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    loudness.add_argument("-v", "--verbose", action="store_true", help="print a step's memory, too")
    cache = "compile afresh, and keep nothing in $SSFT_CACHE_DIR (default ~/.cache/ssft)"
    parser.add_argument("--no-cache", dest="cache", action="store_false", help=cache)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        default="cpu",
        help="cpu (the default); cpu:high or cpu:medium, f32 products from two or one bf16 numbers "
        "where the processor has a matrix unit; ssft-hw:MACHINE or ssft-hw:MACHINE:f32, the "
        "accelerator's functional model with bf16 or f32 products, MACHINE a preset such as "
        "ssft-server or a TOML file; numpy, numpy:bf16 or numpy:f32, an interpreter",
    )
    parser.add_argument(
        "--memory-budget",
        metavar="SIZE",
        help="what a step may take, such as 4GB; weights that never change stay in their file "
        "if need be (cpu only)",
    )


def _run(parsed: argparse.Namespace) -> int:
    for option in ("steps", "checkpoint_every"):
        if (value := getattr(parsed, option)) < 1:
            name = option.replace("_", "-")
            raise UserError(f"--{name} is {value}, not at least 1", exit_code=2)
    _check_combinations(parsed)
    for path in (parsed.save, parsed.adapter, parsed.checkpoint, parsed.json):
        check_directory(path)
    budget = parse_bytes(parsed.memory_budget) if parsed.memory_budget else None
    if parsed.json == "-":
        parsed.quiet = True
    with Progress(sys.stderr.isatty() and not parsed.quiet) as progress:
        progress.stage(f"compiling for {parsed.device}")
        session = Session(
            parsed.plan,
            parsed.device,
            allow_non_finite=parsed.allow_non_finite,
            cache=parsed.cache,
            memory_budget=budget,
        )
    if parsed.verbose and not parsed.quiet:
        print_start(session.memory, session.mapped_bytes, session.from_cache)
    if parsed.weights:
        session.load_weights(parsed.weights)
    if parsed.resume:
        session.load(parsed.resume)
    if parsed.lr is not None:
        session.learning_rate = parsed.lr
    if parsed.seed is not None:
        session.seed = parsed.seed
    if parsed.evaluate:
        return _evaluate(parsed, session)
    return _train(parsed, session)


def _check_combinations(parsed: argparse.Namespace) -> None:
    for first, second, why in (
        ("resume", "compare_to", "the comparison begins where optimizer states are zero"),
        ("weights", "resume", "a checkpoint goes on with the weights that it was made with"),
        ("weights", "adapter", "an adapter is what training changed in the plan's own weights"),
        *(("evaluate", output, "nothing is trained") for output in _OF_TRAINING),
    ):
        if getattr(parsed, first) and getattr(parsed, second):
            names = [f"--{name.replace('_', '-')}" for name in (first, second)]
            raise UserError(f"{names[1]} cannot be used with {names[0]}", notes=[why], exit_code=2)


def _train(parsed: argparse.Namespace, session: Session) -> int:
    # A resumed run goes on with the data where the checkpoint was made.
    batches = islice(_batches(parsed, session, "train"), session.step_count, None)
    comparison = Comparison(session, parsed.model) if parsed.compare_to else None
    if comparison is not None and parsed.lr is not None:
        comparison.set_learning_rate(parsed.lr)
    records: list[StepRecord] = []
    try:
        with TrainingDisplay(parsed.steps, enabled=not parsed.quiet) as display:

            def observe(record: StepRecord) -> None:
                records.append(record)
                display.show(record)
                if parsed.checkpoint and record.step % parsed.checkpoint_every == 0:
                    session.save(parsed.checkpoint)

            session.watch(display.show_part)
            train(session, batches, parsed.steps, comparison=comparison, observe=observe)
    except NonFiniteLossError:
        # The weights are spoiled: an earlier checkpoint is worth more than they are.
        raise
    except BaseException:
        # What was trained before an error or an interrupt is not lost.
        _checkpoint(parsed, session, records)
        raise
    _checkpoint(parsed, session, records)
    if parsed.save:
        _save_weights(parsed.save, session)
    if parsed.adapter:
        session.export_adapter(parsed.adapter)
    result: dict[str, Any] = {**summary(records), "losses": [record.loss for record in records]}
    if session.memory is not None:
        result["memory_bytes"] = {**vars(session.memory), "mapped": session.mapped_bytes}
    if not parsed.quiet:
        print_summary(result)
    if comparison is not None:
        changed = comparison.frozen_unchanged()
        differences = comparison.differences()
        result["differences"] = [vars(difference) for difference in differences]
        result["frozen_changed"] = changed
        worst = comparison.largest()
        tolerance = comparison.tolerance if parsed.tolerance is None else parsed.tolerance
        equal = not changed and (worst is None or worst.relative <= tolerance)
        result |= {"tolerance": tolerance, "equal": equal}
        if not parsed.quiet:
            print_comparison(differences, changed)
            print_verdict(comparison, tolerance, equal)
        _write_json(parsed, result)
        return 0 if equal else 1
    _write_json(parsed, result)
    return 0


def _checkpoint(parsed: argparse.Namespace, session: Session, records: list[StepRecord]) -> None:
    if parsed.checkpoint and records:
        session.save(parsed.checkpoint)


def _evaluate(parsed: argparse.Namespace, session: Session) -> int:
    warn_of_training_mode(session.signature)
    losses = [session.evaluate(batch) for batch in _batches(parsed, session, parsed.evaluate)]
    if not losses:
        raise UserError(f"the split '{parsed.evaluate}' has no batches")
    result = {"split": parsed.evaluate, "batches": len(losses), "loss": sum(losses) / len(losses)}
    if not parsed.quiet:
        print(f"{parsed.evaluate}: loss {result['loss']:.4f} over {len(losses)} batches")
    _write_json(parsed, result)
    return 0


def _batches(parsed: argparse.Namespace, session: Session, split: str) -> Iterator[Batch]:
    inputs = session.signature.inputs
    if parsed.data:
        return open_batches(parsed.data, inputs, split=split, seed=parsed.data_seed)
    source = parsed.model or session.model_file()
    if source is None:
        raise UserError("no data given", notes=["add --data FILE"])
    from ssft.runtime.torch_bridge import example_batches

    return example_batches(source, forever=not parsed.evaluate)


def _save_weights(path: str, session: Session) -> None:
    dtypes = {a.name: a.dtype for a in session.signature.parameters}
    dtypes |= {alias: a.dtype for a in session.signature.parameters for alias in a.aliases}
    arrays = {name: Array(dtypes[name], data) for name, data in session.state_dict().items()}
    write_safetensors(path, arrays)


def _write_json(parsed: argparse.Namespace, result: dict[str, Any]) -> None:
    if parsed.json == "-":
        print(json.dumps(result, indent=1))
    elif parsed.json:
        write_text(parsed.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
