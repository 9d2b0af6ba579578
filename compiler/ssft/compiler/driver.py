"""The stage loop: from a model to a plan, keeping what each stage produced."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssft.compiler.analysis.step import find_step
from ssft.compiler.diagnostics import UserError
from ssft.compiler.memory_fit import MemoryRequest, checkpoint
from ssft.compiler.outlining import inline_layers
from ssft.compiler.pipelines.collect import parse_error
from ssft.compiler.pipelines.named import DENSE, RECOGNISE, specialise
from ssft.compiler.pipelines.run import run_pipeline, verify_each_pass
from ssft.compiler.plan import FORMAT_VERSION, Plan
from ssft.compiler.plan_schema import ArgumentInfo, read_signature
from ssft.compiler.recipes import Recipe
from ssft.compiler.report import step_cost
from ssft.compiler.weights import Array
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

if TYPE_CHECKING:
    from ssft.compiler.frontend import CapturedStep

STAGES = ("torch", "linalg", "ssft", "llvm", "hw")
"""In the order in which they are produced; a plan is stage ``ssft``.

The last two are made of a plan by the CPU's and the accelerator's backend.
"""


@dataclass(frozen=True)
class Options:
    """What a compilation may be told, apart from the recipe.

    `gradients` makes the step return gradients; `keep_stages` keeps the text of every stage;
    `reproducers` is the directory for reproducers of failed passes; `progress` is called with a
    short description when a stage begins. `batches` maps the step's inputs to what a recipe that
    measures the model does so with (default: the example batch, again and again), and
    `save_statistics` is the file where the measurements are kept. `memory` is what to do about
    activations, and how much memory a step may take.
    """

    gradients: bool = False
    keep_stages: bool = False
    reproducers: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    progress: Callable[[str], None] = lambda stage: None
    batches: Callable[[tuple[ArgumentInfo, ...]], Iterable[Mapping[str, Any]]] | None = None
    save_statistics: Path | None = None
    memory: MemoryRequest | None = None


def compile_captured(
    captured: CapturedStep, recipe: Recipe, options: Options, *, abstract: bool = False
) -> Plan:
    """Compiles a captured step to a plan. The captured module is rewritten in place."""
    weights = None
    if not abstract:
        from ssft.compiler.frontend.arrays import to_arrays

        weights = to_arrays(captured.weights)
    stages = {"torch": captured.torch_module_text} if options.keep_stages else {}
    if options.batches is None:
        options = replace(options, batches=lambda inputs: repeat(captured.example_batch))
    return compile_module(captured.context, captured.module, weights, recipe, options, stages)


def compile_module(
    context: ir.Context,
    module: ir.Module,
    weights: Mapping[str, Array] | None,
    recipe: Recipe,
    options: Options,
    stages: dict[str, str] | None = None,
) -> Plan:
    """Compiles a module at stage ``linalg`` to a plan, in place."""
    kept = dict(stages or {})
    if options.keep_stages:
        kept["linalg"] = _text(module)
    options.progress("recognising weight updates")
    remarks = _run(module, RECOGNISE, options)
    dense = _dense_cost(context, module, options)
    measuring = _measuring_step(module, recipe)
    with _measured(module, weights, recipe, options) as chosen:
        options.progress(f"applying recipe {recipe.method}")
        remarks += _run(module, specialise(chosen, gradients=options.gradients), options)
    checkpointing = _checkpointed(context, module, options)
    _describe(context, module, recipe)
    if options.keep_stages:
        kept["ssft"] = _text(module)
    plan = Plan(context, module, weights, remarks, dense, kept, measuring)
    plan.checkpointing = checkpointing
    return plan


def _checkpointed(
    context: ir.Context, module: ir.Module, options: Options
) -> dict[str, Any] | None:
    """Computes activations again as the options say; returns what to report about it."""
    if options.memory is None:
        return None
    options.progress("choosing activations to compute again")
    with context:
        return checkpoint(
            module, options.memory, lambda target, pipeline: _run(target, pipeline, options)
        )


def _measuring_step(module: ir.Module, recipe: Recipe) -> str | None:
    """The step that measures the model before it is chosen again what trains, if one is needed."""
    if not recipe.reselect or not (recipe.calibrate or recipe.statistics):
        return None
    from ssft.compiler.calibration import measuring_step

    return measuring_step(module)


@contextmanager
def _measured(
    module: ir.Module, weights: Mapping[str, Array] | None, recipe: Recipe, options: Options
) -> Iterator[Recipe]:
    """The recipe with a file of measurements, if it asks for any.

    The file outlives a failure, as the reproducer that names it does.
    """
    if not recipe.calibrate:
        yield recipe
        return
    if weights is None:
        raise UserError(
            "a model without weights cannot be measured",
            notes=["compile it without --abstract, or give the measurements: --statistics FILE"],
        )
    from ssft.compiler.calibration import measure
    from ssft.compiler.recipes.registry import importance_of

    inputs = read_signature(module).inputs
    batches = options.batches(inputs) if options.batches else ()
    sensitivity = importance_of(recipe.method, recipe.importance) == "sensitivity"
    found = measure(
        module, weights, batches, recipe.calibrate, options.progress, sensitivity=sensitivity
    )
    path = options.save_statistics
    if path is None:
        handle, name = tempfile.mkstemp(".safetensors", "ssft-statistics-", options.reproducers)
        os.close(handle)
        path = Path(name)
    found.save(path)
    yield recipe.changed({"statistics": str(path)})
    if path != options.save_statistics:
        path.unlink()


def _dense_cost(context: ir.Context, module: ir.Module, options: Options) -> dict[str, Any]:
    """Returns the cost of the step with everything trained.

    It recomputes what the plan recomputes: otherwise the plan would be credited with savings that
    have nothing to do with masks.
    """
    with context:
        dense = module.operation.clone()
        _run(dense, DENSE, options)
        return step_cost(find_step(dense))


def parse_module(path: str | Path) -> tuple[ir.Context, ir.Module]:
    """Parses an MLIR file; a `UserError` says where it is malformed.

    What was outlined from ``@step`` is in it again.
    """
    context = new_context()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read '{path}': {getattr(error, 'strerror', None) or error}"
        ) from None
    with context:
        try:
            operation = ir.Operation.parse(text, source_name=str(path))
        except ir.MLIRError as error:
            raise parse_error(error, str(path)) from None
    if operation.operation.name != "builtin.module":
        raise UserError("the file holds no builtin.module", str(path))
    module = _as_module(operation)
    inline_layers(module)
    return context, module


def is_plan(module: ir.Module) -> bool:
    """Whether `module` went through the compiler already."""
    return "ssft.version" in module.operation.attributes


def to_llvm(plan_text: str) -> str:
    """Returns the LLVM-dialect text that the CPU backend makes of a plan."""
    from ssft.compiler.backends.cpu import lower_to_llvm

    return lower_to_llvm(plan_text)


def to_hw(plan_text: str, machine: str) -> str:
    """Returns the program that the accelerator backend makes of a plan, in the dialect ``ssft_hw``.

    `machine` is the name of a preset or the path of a machine file. Raises UserError if there is no
    such machine, or if the plan does not fit it.
    """
    from ssft.compiler.backends.hw import compile_program
    from ssft.compiler.backends.hw.dialect.program import to_mlir
    from ssft.hwmodel.config.loader import MachineError, load_machine

    try:
        config = load_machine(machine)
    except MachineError as error:
        raise UserError(error.message, notes=error.notes) from None
    return _text(to_mlir(compile_program(plan_text, config)))


def _as_module(operation: Any) -> ir.Module:
    module = operation if isinstance(operation, ir.Module) else operation.opview
    return module


def _run(module: ir.Module | ir.Operation, pipeline: Any, options: Options) -> list[str]:
    result = run_pipeline(
        module,
        pipeline,
        verify_each=verify_each_pass(),
        verify_end=True,
        reproducer=options.reproducers,
    )
    return [remark.message for remark in result.remarks]


def _describe(context: ir.Context, module: ir.Module, recipe: Recipe) -> None:
    with context:
        attributes = module.operation.attributes
        integer = ir.IntegerType.get_signless(64)
        attributes["ssft.version"] = ir.IntegerAttr.get(integer, FORMAT_VERSION)
        attributes["ssft.method"] = ir.StringAttr.get(recipe.method)


def _text(module: ir.Module) -> str:
    return module.operation.get_asm(enable_debug_info=True) + "\n"
