"""The command line of ``ssftc``."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version

from ssft.compiler.checkpointing import MODES
from ssft.compiler.driver import STAGES
from ssft.compiler.recipes.importance import IMPORTANCES
from ssft.compiler.recipes.registry import method_names

DEFAULT_MACHINE = "ssft-server"

MODEL_KEYS = ("abstract", "max_grad_norm", "moments", "master_weights")
"""Options that are about how a model file is captured."""

RECIPE_KEYS = (
    *("importance", "order", "budget", "ratios", "avoid", "combine", "calibrate", "statistics"),
    *("block", "reselect"),
)
"""Options that are keys of the recipe under the same name."""


def parser() -> argparse.ArgumentParser:
    """The parser; without options, a model is compiled to a plan in which all of it trains."""
    made = argparse.ArgumentParser(
        prog="ssftc",
        description="Compile a PyTorch model file to a structured-sparse training plan.",
        allow_abbrev=False,
    )
    made.add_argument("input", help="model file (.py), or a module of stage linalg or ssft (.mlir)")
    made.add_argument(
        "-o", "--output", metavar="FILE", help="write the plan (or --emit) here ('-': to stdout)"
    )
    _recipe_options(made)
    _importance_options(made)
    _step_options(made)
    _memory_options(made)
    _output_options(made)
    return made


def _recipe_options(made: argparse.ArgumentParser) -> None:
    recipe = made.add_argument_group("what trains")
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


def _importance_options(made: argparse.ArgumentParser) -> None:
    importance = made.add_argument_group("choosing by importance")
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


def _step_options(made: argparse.ArgumentParser) -> None:
    step = made.add_argument_group("the step")
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


def _memory_options(made: argparse.ArgumentParser) -> None:
    memory = made.add_argument_group("memory")
    memory.add_argument(
        "--checkpoint",
        choices=MODES,
        help="compute activations again in the backward pass: all but what crosses layers, those "
        "most worth it, or as few as fit --memory-budget (auto: default with a budget)",
    )
    memory.add_argument(
        "--memory-budget", metavar="SIZE", help="what a step may take, e.g. 24GB; or fail"
    )


def _output_options(made: argparse.ArgumentParser) -> None:
    output = made.add_argument_group("output")
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
