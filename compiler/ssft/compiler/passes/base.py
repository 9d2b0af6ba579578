"""What every pass of ours is: a frozen dataclass whose fields are its options.

A pass lives in ``passes/<flag with underscores>.py``, is registered by being found there (see
`ssft.compiler.passes.registry`), and is run by MLIR's own pass manager, so that IR printing,
timing and verify-each work on it. Rules that hold for every pass:

* No operation or value handle outlives `run`: a handle to an erased operation crashes the process.
* Patterns refuse silently; passes diagnose, through `PassContext.error`, which also fails the pass.
* Replace uses before erasing, and collect before rewriting.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ssft.dialects._mlir import ir


@dataclass
class PassContext:
    """What a pass may say while it runs.

    `statistics` counts named events (printed by ``--mlir-pass-statistics``), `remarks` holds
    ``(location, message)`` pairs that end up in reports, e.g. why an axis may not be permuted.
    """

    signal_failure: Callable[[], None]
    statistics: Counter[str] = field(default_factory=Counter)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    failed: bool = False

    def error(self, op: ir.Operation, message: str, *notes: str) -> None:
        """Emits an error at `op` (with notes folded in as MLIR does) and fails the pass."""
        text = message + "".join(f"\nnote: {note}" for note in notes)
        op.location.emit_error(text)
        self.failed = True
        self.signal_failure()

    def remark(self, op: ir.Operation, message: str) -> None:
        """Records a remark at `op`'s location; it does not fail anything."""
        self.remarks.append((str(op.location), message))


@dataclass(frozen=True)
class Pass(ABC):
    """Base class; subclasses add options as dataclass fields (str, int, float, bool) with defaults.

    ``field(default=…, metadata={"help": "…"})`` documents an option; the command line, ``--help``
    and the reference page are derived from the fields.
    """

    argument: ClassVar[str]
    """The flag, e.g. ``ssft-form-updates``; equals the module name with dashes."""

    @abstractmethod
    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites `module` (a ``builtin.module`` operation) in place."""
