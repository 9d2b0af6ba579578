"""Plans as text: reading them, and saying what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

SUPPORTED_VERSIONS = (1, "1")
"""Values of a plan's ``ssft.version`` that this runtime can run."""


def read_plan(path: Path) -> str:
    """The text of the plan at `path`."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise UserError(f"'{path}' is not a plan: it is not text") from None
    except OSError as error:
        raise UserError(f"cannot read plan '{path}': {error.strerror or error}") from None


def parse_plan(text: str, file: str) -> StepSignature:
    """Reads the signature of the plan `text`."""
    try:
        module = ir.Module.parse(text, new_context())
    except ir.MLIRError as error:
        first = error.error_diagnostics[0] if error.error_diagnostics else None
        message = first.message if first else "it cannot be parsed"
        raise UserError(
            f"'{file}' is not a complete plan: {message}", _location(file, first)
        ) from None
    return read_signature(module)


def check_version(signature: StepSignature, file: str) -> None:
    """Raises a `UserError` if the plan in `file` is of a version that this runtime cannot run."""
    if signature.version is not None and signature.version not in SUPPORTED_VERSIONS:
        raise UserError(
            f"'{file}' is a plan of version {signature.version}, "
            f"but this runtime reads version {SUPPORTED_VERSIONS[0]}",
            notes=["compile the model again with this version of ssft"],
        )


def _location(file: str, diagnostic: Any) -> SourceLocation:
    parts = str(diagnostic.location).strip("loc()").rsplit(":", 2) if diagnostic else []
    if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
        return SourceLocation(file, int(parts[1]), int(parts[2]))
    return SourceLocation(file)
