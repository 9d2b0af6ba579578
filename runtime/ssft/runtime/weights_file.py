"""The weights of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import sha256_of
from ssft.compiler.plan_schema import StepSignature, WeightsFile
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array


def same_shape(stored: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the shapes agree; a scalar may be stored as one element in one dimension."""
    return stored == wanted or (wanted == () and stored == (1,))


def load_weights(plan: Path, signature: StepSignature) -> Mapping[str, Array]:
    """The parameters of the plan at `plan`, from the sidecar that it names.

    Raises:
        UserError: the plan has no weights, or the sidecar is missing or not the one that belongs
            to the plan.
    """
    weights = signature.weights
    if weights is None:
        raise UserError(
            f"plan '{plan}' was compiled without weights, so it cannot run",
            notes=["compile it without '--abstract'"],
        )
    path = _sidecar(plan, weights)
    if sha256_of(path) != weights.sha256:
        raise UserError(
            f"'{path}' does not hold the weights that plan '{plan}' was compiled with",
            notes=["its sha256 differs from the one in the plan; compile the model again"],
        )
    return read_safetensors(path).arrays


def _sidecar(plan: Path, weights: WeightsFile) -> Path:
    # A plan is data from elsewhere: it must not make us open files outside its directory.
    if Path(weights.file).name != weights.file or weights.file in ("", ".", ".."):
        raise UserError(
            f"plan '{plan}' names the weights file '{weights.file}', which is not a file name"
        )
    path = plan.parent / weights.file
    if not path.is_file():
        raise UserError(
            f"the weights '{path}' of plan '{plan}' are missing",
            notes=["keep the two files together when moving a plan"],
        )
    return path
