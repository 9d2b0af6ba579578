"""``ssft-opt``: runs passes on MLIR files; behaves as ``mlir-opt``.

Exit codes: 0 for success, 1 for a failure that was diagnosed, 2 for a bad command line.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import write_bytes
from ssft.compiler.pipelines.collect import Diagnostic, DiagnosticCollector
from ssft.compiler.pipelines.reproducer import (
    Reproducer,
    make_reproducer,
    parse_reproducer,
    write_reproducer,
)
from ssft.compiler.pipelines.run import (
    PassFailure,
    PipelineResult,
    as_pipeline,
    replay_command,
    run_pipeline,
)
from ssft.compiler.pipelines.text import Pipeline, print_expanded
from ssft.compiler.sidecars import Sidecar, copy_sidecars, sidecars_of
from ssft.compiler.tools import opt_expectations, opt_output
from ssft.compiler.tools.opt_arguments import DEFAULT_MARKER, Arguments, parse_arguments
from ssft.compiler.tools.opt_input import Chunk, context_for, parse, read_input, split
from ssft.dialects._mlir import ir, preload_linalg


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the tool with `argv` (the process's by default) and returns its exit code."""
    try:
        arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
        if _print_information(arguments):
            return 0
        return _run(arguments)
    except UserError as error:
        print(error.render("ssft-opt"), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # e.g. `ssft-opt … | head`
        sys.stderr.close()
        return 1


def _print_information(arguments: Arguments) -> bool:
    """Serves the options that print something and stop."""
    from ssft.compiler.tools import opt_help  # imports every pass when it is used

    for wanted, text in (
        (arguments.help, opt_help.help_text),
        (arguments.version, opt_help.version),
        (arguments.list_passes, opt_help.list_passes),
        (arguments.show_dialects, opt_help.show_dialects),
    ):
        if wanted:
            print(text())
            return True
    return False


def _run(arguments: Arguments) -> int:
    preload_linalg()
    whole = read_input(arguments.input)
    pipeline = _pipeline(arguments)
    if arguments.run_reproducer:
        whole, pipeline, arguments.verify_each = _open_reproducer(whole)
    if arguments.dump_pass_pipeline and pipeline is not None:
        print(print_expanded(pipeline), file=sys.stderr)
    marker = arguments.split_input_file
    chunks = [whole] if marker is None else split(whole, marker)
    outputs: list[bytes] = []
    sidecars: list[Sidecar] = []
    ok = True
    for chunk in chunks:
        outcome = _process(chunk, pipeline, arguments)
        ok &= _report(outcome, chunk, arguments)
        outputs.append(outcome.output)
        sidecars += outcome.sidecars
    separator = (f"\n{marker or DEFAULT_MARKER}\n").encode()
    wanted = ok or len(chunks) > 1
    if wanted and "-" not in (arguments.input, arguments.output):
        copy_sidecars(sidecars, arguments.input, arguments.output)
    _write(arguments.output, separator.join(outputs), wanted)
    return 0 if ok else 1


def _pipeline(arguments: Arguments) -> Pipeline | None:
    if arguments.pass_pipeline is None:
        return as_pipeline(arguments.passes) if arguments.passes else None
    try:
        return as_pipeline(arguments.pass_pipeline)
    except UserError as error:
        error.exit_code = 2
        raise


def _open_reproducer(whole: Chunk) -> tuple[Chunk, Pipeline, bool]:
    reproducer = parse_reproducer(whole.data) if isinstance(whole.data, str) else None
    if reproducer is None:
        raise UserError(
            f"'{whole.name}' holds no pipeline to run",
            notes=["a reproducer ends in '{-# external_resources: { mlir_reproducer: … } #-}'"],
        )
    pipeline = as_pipeline(reproducer.pipeline)
    return Chunk(whole.name, reproducer.module), pipeline, reproducer.verify_each


@dataclass
class _Outcome:
    """What became of one chunk."""

    output: bytes = b""
    ok: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    """Further lines for the user: replay commands, internal errors."""
    sidecars: list[Sidecar] = field(default_factory=list)
    """Files beside the input that the output names, too."""


def _process(chunk: Chunk, pipeline: Pipeline | None, arguments: Arguments) -> _Outcome:
    """Parses a chunk, runs the pipeline on it and prints it."""
    outcome = _Outcome()
    new_context = partial(
        context_for, chunk, arguments.allow_unregistered_dialect, arguments.irdl_file
    )
    context = new_context()
    with DiagnosticCollector(context, chunk.name, outcome.diagnostics):
        try:
            module = parse(chunk, context, not arguments.no_implicit_module)
        except ir.MLIRError:
            return outcome
    op = module.operation
    if arguments.verify_roundtrip:
        problem = opt_output.roundtrip_problem(op, new_context)
        if problem:
            outcome.messages.append(
                f"{chunk.name}: error: failed roundtrip verification: {problem}"
            )
            return outcome
    if pipeline is not None and not _transform(op, chunk, pipeline, arguments, outcome):
        return outcome
    outcome.output = opt_output.module_bytes(op, arguments)
    outcome.sidecars = sidecars_of(op)
    outcome.ok = True
    return outcome


def _transform(
    op: ir.Operation, chunk: Chunk, pipeline: Pipeline, arguments: Arguments, outcome: _Outcome
) -> bool:
    """Runs the pipeline; returns whether it succeeded."""
    if arguments.mlir_generate_reproducer:
        reproducer = make_reproducer(op, str(pipeline), arguments.verify_each)
        write_reproducer(reproducer, Path(arguments.mlir_generate_reproducer))
    crash_file = arguments.mlir_pass_pipeline_crash_reproducer
    try:
        result = run_pipeline(
            op,
            pipeline,
            verify_each=arguments.verify_each,
            ir_printing=arguments.ir_printing(),
            timing=arguments.mlir_timing,
            statistics=arguments.mlir_pass_statistics,
            reproducer=Path(crash_file) if crash_file else None,
            file_name=chunk.name,
        )
    except PassFailure as failure:
        outcome.diagnostics += failure.diagnostics
        if not failure.diagnostics:
            outcome.messages.append(f"{chunk.name}: error: {failure.message}")
        outcome.messages += failure.replay
        _finish(failure.result, arguments, outcome)
        return False
    except UserError as error:
        outcome.messages.append(error.render(chunk.name))
        return False
    except Exception as error:
        outcome.messages += _internal_error(error, chunk, pipeline, arguments)
        return False
    _finish(result, arguments, outcome)
    return True


def _finish(result: PipelineResult, arguments: Arguments, outcome: _Outcome) -> None:
    known = set(map(id, outcome.diagnostics))
    outcome.diagnostics += [d for d in result.warnings + result.remarks if id(d) not in known]
    if arguments.mlir_pass_statistics:
        outcome.messages.append(opt_output.render_statistics(result.statistics).rstrip())


def _internal_error(
    error: Exception, chunk: Chunk, pipeline: Pipeline, arguments: Arguments
) -> list[str]:
    """Says that a pass has a bug, with all that is needed to look into it."""
    notes: list[str] = list(getattr(error, "__notes__", ()))
    if not arguments.mlir_pass_pipeline_crash_reproducer and isinstance(chunk.data, str):
        reproducer = Reproducer(chunk.data, str(pipeline), arguments.verify_each)
        path = write_reproducer(reproducer, Path(tempfile.gettempdir()))
        notes.append(replay_command(path))
    error.__notes__ = []
    trace = "".join(traceback.format_exception(error)).rstrip()
    what = "; ".join(notes[:1])
    return [f"{chunk.name}: internal error {what}: {error}", trace, *notes[1:]]


def _report(outcome: _Outcome, chunk: Chunk, arguments: Arguments) -> bool:
    """Prints what happened to a chunk; returns whether that is what was wanted."""
    ok = outcome.ok
    if arguments.verify_diagnostics and isinstance(chunk.data, str):
        only_expected = arguments.verify_diagnostics == "only-expected"
        problems = opt_expectations.check(
            chunk.name, chunk.data, outcome.diagnostics, only_expected
        )
        failed_otherwise = not ok and not any(d.severity == "error" for d in outcome.diagnostics)
        ok = not problems and not failed_otherwise
        outcome.messages = problems + (outcome.messages if failed_otherwise else [])
    else:
        level = arguments.mlir_diagnostic_verbosity_level
        sys.stderr.write(opt_output.render(outcome.diagnostics, chunk, level))
    for message in filter(None, outcome.messages):
        print(message, file=sys.stderr)
    return ok


def _write(path: str, data: bytes, wanted: bool) -> None:
    """Writes the result; a failed run leaves an existing output file alone."""
    if path != "-":
        if wanted:
            write_bytes(path, data)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
