"""``ssftc``: compile a PyTorch model file to a training plan."""

from __future__ import annotations

import argparse
import faulthandler
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssft.compiler.byte_sizes import parse_bytes
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
from ssft.compiler.sidecars import copy_sidecars, sidecars_of
from ssft.compiler.tools.console import Progress, checkpointing_line, print_error, report_tables
from ssft.compiler.tools.ssftc_arguments import DEFAULT_MACHINE, MODEL_KEYS, RECIPE_KEYS, parser

EARLY = STAGES[: STAGES.index("ssft")]
"""Stages of the model, before it is a plan."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tool; returns 0, 1 for a diagnosed failure, 2 for a bad command line."""
    if not faulthandler.is_enabled():
        faulthandler.enable()
    parsed = parser().parse_args(arguments)
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
            keep_stages=bool(parsed.dump_stages) or parsed.emit in EARLY,
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
    request = MemoryRequest.of(parsed.checkpoint, budget)
    if request is not None and parsed.emit in EARLY:
        raise UserError(
            f"nothing is computed again at stage '{parsed.emit}' yet",
            notes=["leave out --checkpoint and --memory-budget, or emit a later stage"],
            exit_code=2,
        )
    return request


def _compile(parsed: argparse.Namespace, recipe: Recipe, options: Options) -> Plan:
    if parsed.input.endswith(".mlir"):
        return _compile_module(parsed, recipe, options)
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


def _compile_module(parsed: argparse.Namespace, recipe: Recipe, options: Options) -> Plan:
    """From a module of stage ``linalg``, or one that is a plan already and stays as it is."""
    context, module = parse_module(parsed.input)
    read_signature(module)
    planned = is_plan(module)
    keys = (*MODEL_KEYS, "gradients") if planned else MODEL_KEYS
    for option in (f"--{key.replace('_', '-')}" for key in keys if getattr(parsed, key)):
        raise UserError(
            f"{option} comes too late for '{parsed.input}', whose step is made already",
            notes=[f"give {option} with the model file"],
            exit_code=2,
        )
    if not planned:
        return compile_module(context, module, None, recipe, options)
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


def _write(parsed: argparse.Namespace, plan: Plan, progress: Progress) -> None:
    if parsed.dump_stages:
        _dump(Path(parsed.dump_stages), parsed.machine, plan, progress)
    if parsed.emit != "ssft":
        _emit(parsed, plan, progress)
    elif parsed.output == "-":
        sys.stdout.write(plan.file_text(locations=False))
    elif parsed.output:
        progress.stage("writing the plan")
        if parsed.input.endswith(".mlir"):
            copy_sidecars(sidecars_of(plan.module.operation), parsed.input, parsed.output)
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
