"""Devices: what a session needs of a compiled step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo


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


def make_executor(device: str, plan_text: str) -> Executor:
    """Compiles the plan `plan_text` for a device.

    ``cpu`` runs native code; ``ssft-hw:MACHINE`` the functional model of the accelerator, with bf16
    products, and ``ssft-hw:MACHINE:f32`` with f32 products; ``numpy`` interprets the plan, and
    ``numpy:bf16`` and ``numpy:f32`` do so with the accelerator's arithmetic.
    """
    kind = device.partition(":")[0]
    if kind == "cpu":
        from ssft.compiler.backends.cpu import compile_step

        return compile_step(plan_text)
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


def make_evaluator(device: str, plan_text: str) -> Executor:
    """Compiles only what the loss of the plan needs; running it changes no argument."""
    from ssft.compiler.backends.loss_only import loss_only

    return make_executor(device, loss_only(plan_text))
