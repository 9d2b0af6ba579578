"""The compiler as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssft.compiler.byte_sizes import parse_bytes
from ssft.compiler.driver import Options, compile_captured
from ssft.compiler.memory_fit import MemoryRequest
from ssft.compiler.plan import Plan
from ssft.compiler.recipes import Recipe

if TYPE_CHECKING:
    import torch


def compile(
    model: torch.nn.Module,
    batch: Mapping[str, Any],
    *,
    loss: Callable[..., Any] | None = None,
    optimizer: Any = None,
    recipe: Recipe | str = "full",
    max_grad_norm: float | None = None,
    moments: str = "",
    master_weights: bool = False,
    gradients: bool = False,
    batches: Iterable[Mapping[str, Any]] | None = None,
    checkpoint: str | None = None,
    memory_budget: int | str | None = None,
) -> Plan:
    """Compiles one training step of `model` on batches like `batch`.

    Args:
        model: in the mode (train or eval) in which it is to be trained.
        batch: example tensors by the names of the model's arguments; their shapes are compiled in.
        loss: ``loss(outputs, batch)`` returning a scalar; default ``outputs.loss``.
        optimizer: a ``torch.optim`` AdamW, Adam or SGD over the model's parameters, or a function
            from parameters to one; default AdamW with learning rate 2e-4 and no weight decay.
        recipe: which parts train; a name stands for that method with its defaults.
        max_grad_norm: clip the gradient of what trains to this 2-norm.
        moments: type of the optimizer states of bfloat16 and float16 parameters: ``"f32"``, or
            empty for that of the parameter. The update is computed in f32 in any case.
        master_weights: keep an f32 master of each such parameter; needs moments in f32.
        gradients: make the step return gradients, too.
        batches: what a recipe with ``calibrate`` measures the model with; default: `batch`.
        checkpoint: which activations are computed again in the backward pass instead of being kept:
            ``"none"``, ``"layer"`` (all but what crosses layers), ``"selective"`` (those that are
            most worth it), or ``"auto"``, the default with a budget: as few as fit it.
        memory_budget: bytes that a step may take, or text such as ``"24GB"``.

    Raises:
        UserError: the model cannot be captured, the recipe does not fit it, or no plan fits the
            budget.
    """
    from ssft.compiler.frontend import capture

    budget = None if memory_budget is None else parse_bytes(str(memory_budget))
    memory = MemoryRequest.of(checkpoint, budget)
    if isinstance(recipe, str):
        recipe = Recipe.parse({"method": recipe})
    captured = capture(
        model,
        batch,
        loss=loss,
        optimizer=optimizer,
        max_grad_norm=max_grad_norm,
        moments=moments,
        master_weights=master_weights,
    )
    given = None if batches is None else lambda inputs: batches
    options = Options(gradients=gradients, batches=given, memory=memory)
    return compile_captured(captured, recipe, options)


def compile_file(
    path: str | Path,
    recipe: Recipe,
    *,
    abstract: bool = False,
    max_grad_norm: float | None = None,
    moments: str = "",
    master_weights: bool = False,
    options: Options | None = None,
) -> Plan:
    """Compiles the step that a model file defines; see docs/model-files.md for its contract.

    `moments` and `master_weights` are those of `compile`.
    """
    from ssft.compiler.frontend import capture_file, load_model_file

    options = options or Options()
    options.progress("running the model file")
    definition = load_model_file(path)
    options.progress("capturing the training step")
    captured = capture_file(
        definition,
        abstract=abstract,
        max_grad_norm=max_grad_norm,
        moments=moments,
        master_weights=master_weights,
    )
    return compile_captured(captured, recipe, options, abstract=abstract)
