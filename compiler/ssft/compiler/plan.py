"""A plan: the compiled step as MLIR, its weights, and what the compiler has to say about it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssft.compiler.analysis.step import find_step
from ssft.compiler.files import sha256_of, write_text
from ssft.compiler.permutation import axis_orders, permute
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.compiler.report import build_report
from ssft.compiler.weights import Array, write_safetensors
from ssft.dialects._mlir import ir

FORMAT_VERSION = 1
"""Value of ``ssft.version``: grows when plans of older compilers can no longer be read."""


@dataclass
class Plan:
    """One module that holds a training step, with its weights in original layout.

    `context` and `module` are owned by the plan. `weights` is None for an abstract plan. `stages`
    holds the text of each stage that was kept, by name.
    """

    context: ir.Context
    module: ir.Module
    weights: Mapping[str, Array] | None
    remarks: Sequence[str] = ()
    dense: Mapping[str, Any] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)

    def signature(self) -> StepSignature:
        """Returns the step's arguments and results as plain data."""
        return read_signature(self.module)

    def report(self) -> dict[str, Any]:
        """Returns the cost report (docs/reports.md describes every key)."""
        with self.context:
            return build_report(
                find_step(self.module.operation), self.signature(), self.dense, self.remarks
            )

    def text(self, *, locations: bool = True) -> str:
        """Returns the module as text; it parses back to the same module."""
        return self.module.operation.get_asm(enable_debug_info=locations) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan to `path` and its weights beside it, as ``<stem>.safetensors``.

        Each file is written whole or not at all, the weights first, so that a plan never names a
        sidecar that is not there.
        """
        target = Path(path)
        # A device or pipe has no place beside it: it gets the text alone.
        has_place = target.is_file() or not target.exists()
        with self.context:
            attributes = self.module.operation.attributes
            if self.weights is not None and has_place:
                sidecar = target.with_suffix(".safetensors")
                write_safetensors(sidecar, self.stored_weights())
                attributes["ssft.weights"] = ir.DictAttr.get(
                    {
                        "file": ir.StringAttr.get(sidecar.name),
                        "sha256": ir.StringAttr.get(sha256_of(sidecar)),
                    }
                )
            write_text(target, self.text())

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
