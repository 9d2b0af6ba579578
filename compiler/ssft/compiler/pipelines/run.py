"""Runs pipelines: our passes and upstream ones under one MLIR pass manager.

Our passes are handed to MLIR as callables, so that IR printing, timing and verify-each treat them
like its own. They are never registered with an operation name: the pass manager aborts the process
if that name is not the one it runs on.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.pipelines.collect import (
    Diagnostic,
    DiagnosticCollector,
    diagnostic,
    is_valid,
)
from ssft.compiler.pipelines.printing import IRPrinting, Step, steps_with_printing
from ssft.compiler.pipelines.reproducer import make_reproducer, write_reproducer
from ssft.compiler.pipelines.text import Pipeline, parse_elements, parse_pipeline
from ssft.dialects._mlir import PassManager, ir

__all__ = [
    "IRPrinting",
    "PassFailure",
    "PipelineResult",
    "run_pipeline",
    "verify_each_pass",
]


@dataclass
class PipelineResult:
    """What the passes said.

    `statistics` holds the counters of each of our passes by flag; `remarks` and `warnings` are in
    the order in which they were made.
    """

    statistics: dict[str, Counter[str]] = field(default_factory=dict)
    remarks: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


class PassFailure(UserError):
    """A pass failed; `diagnostics` holds all that was reported, `pass_name` the pass if known."""

    def __init__(
        self,
        pass_name: str | None,
        diagnostics: Sequence[Diagnostic],
        result: PipelineResult,
        reproducer: Path | None = None,
    ) -> None:
        self.pass_name = pass_name
        self.diagnostics = tuple(diagnostics)
        self.result = result
        self.reproducer = reproducer
        self.replay = [replay_command(reproducer)] if reproducer else []
        what = f"pass '{pass_name}'" if pass_name else "the pipeline"
        errors = [d for d in diagnostics if d.severity == "error"]
        first = errors[0] if errors else None
        notes = [note.message for note in first.notes] if first else []
        notes += [f"{error.location}: {error.message}" for error in errors[1:]]
        super().__init__(
            first.message if first else f"{what} failed and did not say why",
            first.location if first else None,
            [*notes, f"{what} failed", *self.replay],
        )


def run_pipeline(
    module: ir.Module | ir.Operation,
    pipeline: Pipeline | str | Sequence[Pass | str],
    *,
    verify_each: bool = True,
    verify_end: bool = False,
    ir_printing: IRPrinting | None = None,
    timing: bool = False,
    statistics: bool = False,
    reproducer: Path | None = None,
    file_name: str = "<unknown>",
) -> PipelineResult:
    """Runs `pipeline` on `module` in place.

    `pipeline` is text with its anchor (``"builtin.module(cse,ssft-foo)"``), a parsed `Pipeline`, or
    a list of pass instances and texts. `verify_each` checks the IR after each pass, `verify_end`
    after the last one. `timing` and `statistics` make MLIR print its reports to stderr.

    `reproducer` is a file, or a directory in which to make one. It is written before the first
    pass, so that it is there even if the process dies, and removed if all goes well. `file_name`
    stands in diagnostics for locations without one.

    Raises `PassFailure` if a pass fails or reports an error, `UserError` for a pipeline that makes
    no sense. Any other exception is a bug of a pass; it carries the pass's name as a note.
    """
    op = module.operation
    pipeline = as_pipeline(pipeline)
    with DiagnosticCollector(op.context, file_name) as collector:
        execution = _Execution(collector)
        path = None
        if reproducer is not None:
            path = write_reproducer(make_reproducer(op, str(pipeline), verify_each), reproducer)
        try:
            with op.context:
                _execute(op, pipeline, execution, verify_each, ir_printing, timing, statistics)
            failed = verify_end and not verify_each and not op.verify()
        except ir.MLIRError:
            failed = True
        except Exception as error:
            if execution.current:
                error.add_note(f"while pass '{execution.current}' was running")
            if path:
                error.add_note(replay_command(path))
            raise
    execution.result.warnings += collector.of("warning")
    execution.result.remarks += collector.of("remark")
    if failed or collector.errors:
        name = execution.culprit(pipeline, op)
        raise PassFailure(name, collector.diagnostics, execution.result, path)
    if path:
        path.unlink(missing_ok=True)  # another process may have compiled the same
    return execution.result


def verify_each_pass() -> bool:
    """Whether whole compilations are to check the IR after every pass, a third of their time.

    So says the environment variable ``SSFT_VERIFY_EACH``, which is 1 in the tests; otherwise the IR
    is checked at the end of each pipeline.
    """
    return os.environ.get("SSFT_VERIFY_EACH", "0") not in ("", "0")


def as_pipeline(pipeline: Pipeline | str | Sequence[Pass | str]) -> Pipeline:
    """Returns the parsed form of whatever `run_pipeline` accepts."""
    if isinstance(pipeline, Pipeline):
        return pipeline
    if isinstance(pipeline, str):
        return parse_pipeline(pipeline)
    elements: list[Pass | str] = []
    for element in pipeline:
        elements += parse_elements(element) if isinstance(element, str) else [element]
    return Pipeline(tuple(elements))


def replay_command(reproducer: Path) -> str:
    """Returns the line that tells how to run a reproducer."""
    return f"to reproduce: ssft-opt --run-reproducer {shlex.quote(str(reproducer))}"


@dataclass
class _Execution:
    """What is known while a pipeline runs."""

    collector: DiagnosticCollector
    result: PipelineResult = field(default_factory=PipelineResult)
    current: str | None = None
    failed: str | None = None
    finished: int = 0
    """How many of our passes have run to their end."""

    def callable(self, pass_: Pass) -> Callable[..., None]:
        """Returns what MLIR calls to run `pass_`."""

        def run(op: ir.Operation, control: Any) -> None:
            def fail() -> None:
                self.failed = pass_.argument
                control.signal_pass_failure()

            context = PassContext(signal_failure=fail)
            self.current = pass_.argument
            errors = len(self.collector.errors)
            try:
                pass_.run(op.operation, context)
            except UserError as error:
                context.error(op.operation, error.message, *error.notes)
            finally:
                self._keep(pass_.argument, context)
            # An error that is emitted without failing the pass would be lost by the bindings.
            if context.failed or len(self.collector.errors) > errors:
                fail()
            self.current = None
            self.finished += 1

        return run

    def _keep(self, name: str, context: PassContext) -> None:
        self.result.statistics.setdefault(name, Counter()).update(context.statistics)
        file = self.collector.default_file
        for location, message in context.remarks:
            self.result.remarks.append(diagnostic("remark", location, message, file))

    def culprit(self, pipeline: Pipeline, op: ir.Operation) -> str | None:
        """The pass that failed: one of ours, or an upstream one if it is the only candidate."""
        if self.failed or self.current:
            return self.failed or self.current
        ours = [element.argument for element in pipeline.elements if isinstance(element, Pass)]
        if self.finished and not is_valid(op):  # upstream passes are not known to leave invalid IR
            return ours[self.finished - 1]
        candidates: list[str] = []
        seen = 0
        for element in pipeline.elements:
            if isinstance(element, Pass):
                seen += 1
            elif seen == self.finished:
                candidates.append(element)
        return candidates[0] if len(candidates) == 1 else None


def _execute(
    op: ir.Operation,
    pipeline: Pipeline,
    execution: _Execution,
    verify_each: bool,
    ir_printing: IRPrinting | None,
    timing: bool,
    statistics: bool,
) -> None:
    manager = PassManager(pipeline.anchor)
    manager.enable_verifier(verify_each)
    if ir_printing is not None:
        ir_printing.enable(manager)
    if timing:
        manager.enable_timing()
    if statistics:
        manager.enable_statistics()
    steps: list[Step] = steps_with_printing(pipeline.elements, ir_printing)
    for step in steps:
        if isinstance(step, str):
            manager.add(step)
        elif isinstance(step, Pass):
            help_ = (type(step).__doc__ or "").partition("\n")[0]
            manager.add(execution.callable(step), step.argument, step.argument, help_)
        else:
            manager.add(step, "print-ir", "print-ir")
    try:
        manager.run(op)
    finally:
        del manager  # MLIR prints its timing and statistics when the manager goes
