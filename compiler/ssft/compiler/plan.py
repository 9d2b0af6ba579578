"""A plan: the compiled step as MLIR, its weights, and what the compiler has to say about it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssft.compiler.analysis.step import find_step
from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import atomic_output, has_place, sha256_of
from ssft.compiler.passes.ssft_outline_layers import OutlineLayersPass
from ssft.compiler.permutation import axis_orders, permute
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.compiler.report import build_report
from ssft.compiler.short_text import shorten
from ssft.compiler.weights import Array, serialize
from ssft.dialects._mlir import ir

FORMAT_VERSION = 1
"""Value of ``ssft.version``: grows when plans of older compilers can no longer be read."""

MEASURING_SUFFIX = ".measure.mlir"
"""Ending of the file that holds a plan's measuring step, instead of the plan's."""


@dataclass
class Plan:
    """One module that holds a training step, with its weights in original layout.

    `context` and `module` are owned by the plan; the step is flat. `weights` is None for an
    abstract plan. `stages` holds the text of each stage that was kept, by name. `measuring` is the
    step that measures the model, for plans that choose by measurements again while they train.
    `outlined` is whether a file holds what the step repeats once, as functions. `checkpointing` is
    what the report says about activations that are computed again.
    """

    context: ir.Context
    module: ir.Module
    weights: Mapping[str, Array] | None = field(repr=False)
    remarks: Sequence[str] = ()
    dense: Mapping[str, Any] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict, repr=False)
    measuring: str | None = field(default=None, repr=False)
    outlined: bool = True
    checkpointing: Mapping[str, Any] | None = None

    def signature(self) -> StepSignature:
        """Returns the step's arguments and results as plain data."""
        return read_signature(self.module)

    def report(self) -> dict[str, Any]:
        """Returns the cost report (docs/reports.md describes every key)."""
        with self.context:
            return build_report(
                find_step(self.module.operation),
                self.signature(),
                self.dense,
                self.remarks,
                self.checkpointing,
            )

    def text(self, *, locations: bool = True) -> str:
        """Returns the module as text; it parses back to the same module."""
        return self.module.operation.get_asm(enable_debug_info=locations) + "\n"

    def file_text(self, *, locations: bool = True) -> str:
        """Returns the text that `save` writes: shorter, and the same plan to whoever loads it."""
        module = self.module.operation
        if self.outlined:
            with self.context:
                module = module.clone()
                run_pipeline(module, [OutlineLayersPass()])
        return shorten(module.get_asm(enable_debug_info=locations)) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan to `path` and its weights beside it, as ``<stem>.safetensors``.

        A measuring step goes to ``<stem>.measure.mlir``. The files are complete before one replaces
        an older one, the plan last: it never names a file that is not there. A device or pipe gets
        the text alone.

        Raises:
            UserError: a file cannot be written.
        """
        target = Path(path)
        with self.context, atomic_output(target) as text_file:
            if self.weights is not None and has_place(target):
                self._save_with_weights(target, text_file)
            else:
                text_file.write_text(self.file_text(), encoding="utf-8")

    def _save_with_weights(self, target: Path, text_file: Path) -> None:
        """Writes the sidecar of the plan `target`, whose text goes to `text_file`."""
        sidecar = target.with_suffix(".safetensors")
        if sidecar == target:
            raise UserError(
                f"cannot write the plan to '{target}': its weights go to this file",
                notes=["give the plan another suffix, e.g. .mlir"],
            )
        with atomic_output(sidecar) as weights_file:
            serialize(weights_file, self.stored_weights())
            if self.measuring is not None:
                self._save_measuring(target.with_suffix(MEASURING_SUFFIX))
            self.module.operation.attributes["ssft.weights"] = ir.DictAttr.get(
                {
                    "file": ir.StringAttr.get(sidecar.name),
                    "sha256": ir.StringAttr.get(sha256_of(weights_file)),
                }
            )
            text_file.write_text(self.file_text(), encoding="utf-8")

    def _save_measuring(self, path: Path) -> None:
        assert self.measuring is not None
        with atomic_output(path) as temporary:
            temporary.write_text(self.measuring, encoding="utf-8")
            self.module.operation.attributes["ssft.measure"] = ir.DictAttr.get(
                {
                    "file": ir.StringAttr.get(path.name),
                    "sha256": ir.StringAttr.get(sha256_of(temporary)),
                }
            )

    def stored_weights(self) -> dict[str, Array]:
        """Returns the parameters and buffers as the step wants them: permuted."""
        assert self.weights is not None
        signature = self.signature()
        orders = axis_orders(signature.permutations)
        stored = {}
        for argument in signature.parameters:
            array = self.weights[argument.name]
            if argument.permuted:
                data = permute(array.data, argument.permuted, orders)
                array = Array(array.dtype, data)
            stored[argument.name] = array
        return stored
