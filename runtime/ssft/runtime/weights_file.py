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
    return read_safetensors(_checked(plan, weights, "weights")).arrays


def load_measuring_step(plan: Path, signature: StepSignature) -> str:
    """The text of the step that measures the model of the plan at `plan`.

    Raises:
        UserError: the plan names none, or it is missing or not the one that belongs to the plan.
    """
    if signature.measure is None:
        raise UserError(
            f"plan '{plan}' has no measuring step", notes=["compile it with --calibrate STEPS"]
        )
    return _checked(plan, signature.measure, "measuring step").read_text(encoding="utf-8")


def _checked(plan: Path, named: WeightsFile, what: str) -> Path:
    """The file that a plan names, which must be the very one."""
    # A plan is data from elsewhere: it must not make us open files outside its directory.
    if Path(named.file).name != named.file or named.file in ("", ".", ".."):
        raise UserError(
            f"plan '{plan}' names the {what} file '{named.file}', which is not a file name"
        )
    path = plan.parent / named.file
    if not path.is_file():
        raise UserError(
            f"the {what} '{path}' of plan '{plan}' {'are' if what == 'weights' else 'is'} missing",
            notes=["keep the files together when moving a plan"],
        )
    if sha256_of(path) != named.sha256:
        raise UserError(
            f"'{path}' does not hold the {what} that plan '{plan}' was compiled with",
            notes=["its sha256 differs from the one in the plan; compile the model again"],
        )
    return path
