"""Devices: what a session needs of a compiled step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo, StepSignature

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import CpuOptions


class Executor(Protocol):
    """A compiled step on some device."""

    @property
    def arguments(self) -> tuple[ArgumentInfo, ...]:
        """What the first pointers of `run` point to."""
        ...

    @property
    def outputs(self) -> tuple[ResultInfo, ...]:
        """What the pointers behind them point to: results that update no argument."""
        ...

    def run(self, pointers: Sequence[int]) -> None:
        """Runs the step once; updates are written into the arguments' memory."""
        ...


class CachedExecutor(Executor, Protocol):
    """One that came from the cache, and knows the plan's signature without the plan."""

    @property
    def signature(self) -> StepSignature:
        """What the plan says about its arguments and results."""
        ...


def find_executor(device: str, plan_text: str, *, cache: bool = True) -> CachedExecutor | None:
    """The program of a plan that was compiled for the device before, if it is in the cache.

    Only the CPU's programs are kept; for others, and without `cache`, there is none.
    """
    if device.partition(":")[0] != "cpu" or not cache:
        return None
    from ssft.compiler.backends.cpu import find_step_program

    return find_step_program(plan_text, cpu_options(device, cache))


def make_executor(device: str, plan_text: str, *, cache: bool = True) -> Executor:
    """Compiles the plan `plan_text` for a device.

    ``cpu`` runs native code, and takes options (see `cpu_options`); ``ssft-hw:MACHINE`` the
    functional model of the accelerator, with bf16 products, and ``ssft-hw:MACHINE:f32`` with f32
    products; ``numpy`` interprets the plan, and ``numpy:bf16`` and ``numpy:f32`` do so with the
    accelerator's arithmetic. `cache` lets the CPU's
    programs be taken from, and put into, the cache on disk.
    """
    kind = device.partition(":")[0]
    if kind == "cpu":
        from ssft.compiler.backends.cpu import compile_step

        return compile_step(plan_text, cpu_options(device, cache))
    if kind == "ssft-hw":
        from ssft.runtime.accelerator import compile_for_accelerator

        return compile_for_accelerator(device, plan_text)
    if kind == "numpy":
        from ssft.compiler.backends.interpreter import interpret_step

        return interpret_step(plan_text, device.partition(":")[2] or "native")  # type: ignore[arg-type]
    raise UserError(
        f"unknown device '{device}'",
        notes=["devices are 'cpu', 'ssft-hw:MACHINE' (e.g. 'ssft-hw:ssft-server') and 'numpy'"],
    )


CPU_WORDS: dict[str, tuple[str, ...]] = {
    "matmul_precision": ("highest", "high", "medium"),
    "gemm": ("auto", "emitted", "blas", "loops"),
    "isa": ("avx512", "avx2"),
    "products": ("blocked", "whole"),
}
"""What may stand behind ``cpu:``, by the field of `CpuOptions` that it sets."""


def cpu_options(device: str, cache: bool = True) -> CpuOptions:
    """The options of a device ``cpu`` or ``cpu:WORD,WORD``, e.g. ``cpu:high`` or ``cpu:emitted``.

    ``high`` and ``medium`` are precisions of f32 matrix products, as of
    ``torch.set_float32_matmul_precision``: faster on processors with a matrix unit for bf16.
    """
    from ssft.compiler.backends.cpu import CpuOptions

    chosen: dict[str, Any] = {}
    fields = {word: field for field, words in CPU_WORDS.items() for word in words}
    for word in filter(None, device.partition(":")[2].split(",")):
        field = fields.get(word)
        if field is None or field in chosen:
            raise UserError(
                f"cannot read the device '{device}'",
                notes=[
                    f"behind 'cpu:' stand, joined by commas, {_one_of(field)}"
                    for field in CPU_WORDS
                ],
                exit_code=2,
            )
        chosen[field] = word
    return CpuOptions(cache=cache, **chosen)


def exact_device(device: str) -> str | None:
    """The same device with products of unrounded operands; None if it rounds none already."""
    kind, _, rest = device.partition(":")
    if kind == "cpu":
        words = [word for word in rest.split(",") if word not in ("high", "medium")]
        exact = ":".join([kind, *filter(None, [",".join(words)])])
    elif kind == "ssft-hw":
        exact = f"{kind}:{rest.partition(':')[0]}:f32"
    else:
        exact = kind if rest == "bf16" else device
    return None if exact == device else exact


def _one_of(field: str) -> str:
    return f"at most one {field.replace('_', ' ')} of {', '.join(CPU_WORDS[field])}"


def make_evaluator(device: str, plan_text: str, *, cache: bool = True) -> Executor:
    """Compiles only what the loss of the plan needs; running it changes no argument."""
    if device.partition(":")[0] == "cpu":
        from ssft.compiler.backends.cpu import compile_step

        return compile_step(plan_text, cpu_options(device, cache), only_loss=True)
    from ssft.compiler.backends.loss_only import loss_only

    return make_executor(device, loss_only(plan_text))
