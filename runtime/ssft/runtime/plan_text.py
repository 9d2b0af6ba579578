"""Plans as text: reading them, and saying what is wrong with them."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from ssft.compiler.diagnostics import UserError
from ssft.compiler.outlining import parse_flat
from ssft.compiler.pipelines.collect import parse_error
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.compiler.sidecars import sidecars_of
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

SUPPORTED_VERSIONS = (1, "1")
"""Values of a plan's ``ssft.version`` that this runtime can run."""


def read_plan(path: Path) -> str:
    """The text of the plan at `path`."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"'{path}' is not a plan: it is not text") from None
    except OSError as error:
        raise UserError(f"cannot read plan '{path}': {error.strerror or error}") from None


def parse_plan(text: str, file: str) -> StepSignature:
    """Reads the signature of the plan `text`."""
    try:
        module = ir.Module.parse(text, new_context())
    except ir.MLIRError as error:
        raise parse_error(error, file, f"'{file}' is not a complete plan: ") from None
    return read_signature(module)


def check_version(signature: StepSignature, file: str) -> None:
    """Raises a `UserError` if the plan in `file` is of a version that this runtime cannot run."""
    if signature.version is not None and signature.version not in SUPPORTED_VERSIONS:
        raise UserError(
            f"'{file}' is a plan of version {signature.version}, "
            f"but this runtime reads version {SUPPORTED_VERSIONS[0]}",
            notes=["compile the model again with this version of ssft"],
        )


class PlanIdentity:
    """What tells the plan of a text apart from others.

    `file` is the SHA-256 of the text as it is. `step` is that of what it says: the same whether
    repeated layers are written out or are functions, whatever the plan's files are called, with
    source locations or without.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.file = _sha256(text)

    @cached_property
    def step(self) -> str:
        """Takes parsing the plan, and stays the same as long as MLIR prints it the same."""
        module = parse_flat(self._text)
        attributes = module.operation.attributes
        with module.context:
            for key, named in sidecars_of(module.operation):
                attributes[key] = ir.StringAttr.get(named.sha256)
        if "ssft.source" in attributes:
            del attributes["ssft.source"]
        return _sha256(module.operation.get_asm(enable_debug_info=False))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
