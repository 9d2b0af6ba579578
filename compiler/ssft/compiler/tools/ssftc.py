"""``ssftc``: compile a PyTorch model file to a training plan."""

from __future__ import annotations

import argparse
import faulthandler
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ssft.compiler.byte_sizes import parse_bytes
from ssft.compiler.checkpointing import MODES
from ssft.compiler.diagnostics import UserError
from ssft.compiler.driver import (
    STAGES,
    Options,
    compile_module,
    is_plan,
    parse_module,
    to_hw,
    to_llvm,
)
from ssft.compiler.files import check_directory, write_text
from ssft.compiler.memory_fit import MemoryRequest
from ssft.compiler.plan import Plan
from ssft.compiler.plan_schema import read_signature
from ssft.compiler.recipes import Recipe
from ssft.compiler.recipes.importance import IMPORTANCES
from ssft.compiler.recipes.registry import method_names
from ssft.compiler.tools.console import Progress, checkpointing_line, print_error, report_tables

DEFAULT_MACHINE = "ssft-server"
RECIPE_KEYS = (
    *("importance", "order", "budget", "ratios", "avoid", "combine", "calibrate", "statistics"),
    *("block", "reselect"),
)
"""Options that are keys of the recipe under the same name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tool; returns 0, 1 for a diagnosed failure, 2 for a bad command line."""
    if not faulthandler.is_enabled():
        faulthandler.enable()
    parsed = _parser().parse_args(arguments)
    try:
        _run(parsed)
    except UserError as error:
        print_error(error, "ssftc")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        print("ssftc: internal error: please report it with the model file", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssftc",
        description="Compile a PyTorch model file to a structured-sparse training plan.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "input", help="model file (.py), or a module of stage linalg or ssft (.mlir)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the plan (or --emit) here")
    _recipe_options(parser)
    _importance_options(parser)
    _step_options(parser)
    _memory_options(parser)
    _output_options(parser)
    return parser


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    recipe = parser.add_argument_group("what trains")
    recipe.add_argument(
        "--recipe",
        metavar="NAME|FILE.toml",
        help=f"method ({', '.join(method_names())}) or recipe file (default: full)",
    )
    recipe.add_argument("--ratio", type=float, help="share of the units of an axis (default 0.05)")
    recipe.add_argument("--seed", type=int, help="seed of random choices (default 0)")
    recipe.add_argument(
        "--train", action="append", metavar="PATTERN", help="train these parameters entirely"
    )
    recipe.add_argument(
        "--freeze", action="append", metavar="PATTERN", help="never train these parameters"
    )
    recipe.add_argument(
        "--mask",
        action="append",
        metavar="MASK",
        help="explicit mask, e.g. 'fc1.weight:rows=0-3+9:columns=4'",
    )


def _importance_options(parser: argparse.ArgumentParser) -> None:
    importance = parser.add_argument_group("choosing by importance")
    importance.add_argument(
        "--importance", choices=IMPORTANCES, help="what makes a unit worth training"
    )
    importance.add_argument(
        "--order", choices=["largest", "smallest"], help="which end of it trains (largest)"
    )
    importance.add_argument(
        "--budget",
        choices=["uniform", "global"],
        help="each axis gets its share (default), or all compete",
    )
    importance.add_argument(
        "--ratios", action="append", metavar="PATTERN=RATIO", help="ratio of these parameters"
    )
    importance.add_argument(
        "--avoid", action="append", metavar="MASK", help="rows and columns not to choose"
    )
    importance.add_argument(
        "--combine", choices=["union", "intersection"], help="rows and columns of recipe ssft"
    )
    importance.add_argument(
        "--block", metavar="ROWSxCOLUMNS", help="size of the blocks of recipe smt (256x256)"
    )
    importance.add_argument(
        "--reselect", type=int, metavar="STEPS", help="choose again every so many steps of training"
    )
    importance.add_argument(
        "--calibrate", type=int, metavar="STEPS", help="measure the model on so many batches"
    )
    importance.add_argument(
        "--calibration-data",
        metavar="FILE",
        help="batches to measure with: .npz, .safetensors, or a data module (default: batch())",
    )
    importance.add_argument("--save-statistics", metavar="FILE", help="keep the measurements")
    importance.add_argument("--statistics", metavar="FILE", help="use measurements of before")


def _step_options(parser: argparse.ArgumentParser) -> None:
    step = parser.add_argument_group("the step")
    step.add_argument("--max-grad-norm", type=float, metavar="NORM", help="clip the gradient norm")
    step.add_argument(
        "--moments", choices=["f32"], default="", help="of half-precision weights (theirs)"
    )
    step.add_argument(
        "--master-weights", action="store_true", help="keep half-precision weights in f32, too"
    )
    step.add_argument("--gradients", action="store_true", help="make the step return gradients")
    step.add_argument(
        "--abstract", action="store_true", help="no weights: plan models that fit no memory"
    )


def _memory_options(parser: argparse.ArgumentParser) -> None:
    memory = parser.add_argument_group("memory")
    memory.add_argument(
        "--checkpoint",
        choices=MODES,
        help="compute activations again in the backward pass: all but what crosses layers, those "
        "most worth it, or as few as fit --memory-budget (auto: default with a budget)",
    )
    memory.add_argument(
        "--memory-budget", metavar="SIZE", help="what a step may take, e.g. 24GB; or fail"
    )


def _output_options(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--emit", choices=STAGES, default="ssft", help="stop after this stage")
    output.add_argument("--dump-stages", metavar="DIR", help="write every stage's module here")
    output.add_argument(
        "--machine",
        "--config",
        metavar="NAME|FILE",
        help=f"accelerator of stage hw (--emit=hw: {DEFAULT_MACHINE}); with --dump-stages, that "
        "stage, too",
    )
    output.add_argument(
        "--flat", action="store_true", help="write repeated layers out, instead of as functions"
    )
    output.add_argument(
        "--report", metavar="FILE", help="write the cost report as JSON ('-': stdout)"
    )
    output.add_argument("-v", "--verbose", action="store_true", help="progress and a summary")
    output.add_argument("--version", action="version", version=_versions())


def _versions() -> str:
    packages = ("ssft", "torch-mlir", "torch")
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _recipe(parsed: argparse.Namespace) -> Recipe:
    options = {
        key: value
        for key, value in {
            "ratio": parsed.ratio,
            "seed": parsed.seed,
            "train": parsed.train,
            "freeze": parsed.freeze,
            "masks": parsed.mask,
            **{key: getattr(parsed, key) for key in RECIPE_KEYS},
        }.items()
        if value is not None
    }
    parsed.masking = parsed.recipe is not None or bool(options)
    if parsed.recipe is not None and parsed.recipe.endswith(".toml"):
        return Recipe.from_file(parsed.recipe).changed(options)
    return Recipe.parse({"method": parsed.recipe or "full", **options})


def _run(parsed: argparse.Namespace) -> None:
    recipe = _recipe(parsed)
    if parsed.output is None and parsed.emit == "ssft" and not parsed.report:
        raise UserError("no output file given", notes=["add -o plan.mlir"], exit_code=2)
    if parsed.machine and parsed.emit != "hw" and not parsed.dump_stages:
        raise UserError("--machine is for --emit=hw and --dump-stages", exit_code=2)
    if (parsed.calibration_data or parsed.save_statistics) and not recipe.calibrate:
        raise UserError(
            "nothing is measured, so there is nothing to measure with or to save",
            notes=["add --calibrate STEPS"],
            exit_code=2,
        )
    memory = _memory(parsed)
    for path in (parsed.output, parsed.report, parsed.save_statistics):
        check_directory(path)
    with Progress(parsed.verbose) as progress:
        options = Options(
            gradients=parsed.gradients,
            keep_stages=bool(parsed.dump_stages) or parsed.emit in ("torch", "linalg"),
            progress=progress.stage,
            save_statistics=Path(parsed.save_statistics) if parsed.save_statistics else None,
            memory=memory,
        )
        plan = _compile(parsed, recipe, options)
        plan.outlined = not parsed.flat
        _write(parsed, plan, progress)
    if plan.checkpointing is not None:
        checkpointing_line(plan.checkpointing)
    if not any(True for _ in plan.signature().with_role("trainable")):
        print("ssftc: warning: nothing trains under this recipe", file=sys.stderr)
    if parsed.verbose:
        report_tables(plan.report())


def _memory(parsed: argparse.Namespace) -> MemoryRequest | None:
    budget = parse_bytes(parsed.memory_budget) if parsed.memory_budget is not None else None
    return MemoryRequest.of(parsed.checkpoint, budget)


def _compile(parsed: argparse.Namespace, recipe: Recipe, options: Options) -> Plan:
    if not parsed.input.endswith(".mlir"):
        from ssft.compiler.api import compile_file

        if parsed.calibration_data:
            from ssft.compiler.batches import open_batches

            source = parsed.calibration_data
            options = replace(options, batches=lambda inputs: open_batches(source, inputs))
        return compile_file(
            parsed.input,
            recipe,
            abstract=parsed.abstract,
            max_grad_norm=parsed.max_grad_norm,
            moments=parsed.moments,
            master_weights=parsed.master_weights,
            options=options,
        )
    context, module = parse_module(parsed.input)
    read_signature(module)
    if is_plan(module):
        if options.memory is not None:
            raise UserError(
                "the input is a plan already, and what it keeps cannot be changed any more",
                parsed.input,
                ["give --checkpoint and --memory-budget with the model file"],
            )
        if parsed.masking:
            raise UserError(
                "the input is a plan already, and what trains cannot be changed any more",
                parsed.input,
                ["apply the recipe to the model file, or to a module of stage linalg"],
            )
        return Plan(context, module, None)
    return compile_module(context, module, None, recipe, options)


def _write(parsed: argparse.Namespace, plan: Plan, progress: Progress) -> None:
    if parsed.dump_stages:
        _dump(Path(parsed.dump_stages), parsed.machine, plan, progress)
    if parsed.emit != "ssft":
        _emit(parsed, plan, progress)
    elif parsed.output == "-":
        sys.stdout.write(plan.file_text(locations=False))
    elif parsed.output:
        progress.stage("writing the plan")
        plan.save(parsed.output)
    if parsed.report:
        text = json.dumps(plan.report(), indent=1) + "\n"
        if parsed.report == "-":
            sys.stdout.write(text)
        else:
            write_text(parsed.report, text)


def _emit(parsed: argparse.Namespace, plan: Plan, progress: Progress) -> None:
    if parsed.emit == "llvm":
        progress.stage("lowering to LLVM")
        text = to_llvm(plan.text())
    elif parsed.emit == "hw":
        progress.stage("scheduling for the accelerator")
        text = to_hw(plan.text(), parsed.machine or DEFAULT_MACHINE)
    elif parsed.emit in plan.stages:
        text = plan.stages[parsed.emit]
    else:
        raise UserError(
            f"stage '{parsed.emit}' comes before the stage of '{parsed.input}'", exit_code=2
        )
    if parsed.output in (None, "-"):
        sys.stdout.write(text)
    else:
        write_text(parsed.output, text)


def _dump(directory: Path, machine: str | None, plan: Plan, progress: Progress) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make directory '{directory}': {error.strerror}") from None
    progress.stage("lowering to LLVM")
    stages = plan.stages | {"llvm": to_llvm(plan.text())}
    if machine:
        progress.stage("scheduling for the accelerator")
        stages["hw"] = to_hw(plan.text(), machine)
    for number, stage in enumerate(STAGES):
        if stage in stages:
            write_text(directory / f"{number:02}_{stage}.mlir", stages[stage])


if __name__ == "__main__":
    sys.exit(main())
