"""Collects what MLIR reports while something runs, as plain data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, cast

from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.dialects._mlir import ir

Severity = Literal["error", "warning", "remark", "note"]

_FILE_LINE_COLUMN = re.compile(r'"((?:[^"\\]|\\.)*)":(\d+):(\d+)')
_NOTE_SEPARATOR = "\nnote: "


@dataclass(frozen=True)
class Diagnostic:
    """One message; `location` has line 0 where the IR does not say."""

    severity: Severity
    location: SourceLocation
    message: str
    notes: tuple[Diagnostic, ...] = ()

    def flat(self) -> list[Diagnostic]:
        """This message and its notes."""
        return [self, *(inner for note in self.notes for inner in note.flat())]


def source_location(location: ir.Location | str, default_file: str = "<unknown>") -> SourceLocation:
    """Returns the first place in a file that an MLIR location (or its text) names.

    Synthetic places such as ``"<backward>":1:0`` count only if there is no other.
    """
    places = [
        SourceLocation(default_file if file == "-" else file, int(line), int(column))
        for file, line, column in _FILE_LINE_COLUMN.findall(str(location))
    ]
    real = [place for place in places if not re.fullmatch(r"<.*>", place.file)]
    return (real or places or [SourceLocation(default_file)])[0]


def diagnostic(
    severity: Severity, location: ir.Location | str, text: str, default_file: str = "<unknown>"
) -> Diagnostic:
    """Returns a diagnostic; lines of `text` after ``note:`` become its notes.

    The bindings can emit an error, but attach no notes to it, so passes fold them into the text.
    """
    place = source_location(location, default_file)
    message, *notes = text.split(_NOTE_SEPARATOR)
    return Diagnostic(
        severity, place, message, tuple(Diagnostic("note", place, note) for note in notes)
    )


@dataclass
class DiagnosticCollector:
    """A context manager under which a context's diagnostics are kept instead of printed.

    `default_file` stands for locations that name no file or ``-``.
    """

    context: ir.Context
    default_file: str = "<unknown>"
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def errors(self) -> list[Diagnostic]:
        """The errors so far."""
        return self.of("error")

    def of(self, severity: Severity) -> list[Diagnostic]:
        """The diagnostics of one severity."""
        return [d for d in self.diagnostics if d.severity == severity]

    def __enter__(self) -> DiagnosticCollector:
        # Without this flag the bindings fold errors into the exception (or, if a pass emits one
        # without failing, drop it), and no handler sees them.
        self._had = self.context.emit_error_diagnostics
        self.context.emit_error_diagnostics = True
        self._handler = self.context.attach_diagnostic_handler(self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handler.detach()
        self.context.emit_error_diagnostics = self._had

    def _handle(self, native: ir.Diagnostic) -> bool:
        self.diagnostics.append(self._convert(native))
        return True

    def _convert(self, native: ir.Diagnostic) -> Diagnostic:
        severity = cast(Severity, native.severity.name.lower())
        own = diagnostic(severity, native.location, native.message, self.default_file)
        notes = tuple(self._convert(note) for note in native.notes)
        return Diagnostic(own.severity, own.location, own.message, own.notes + notes)


def parse_error(
    error: ir.MLIRError, file: str, what: str = "", notes: Sequence[str] = ()
) -> UserError:
    """Returns what is wrong with the text of `file`, which could not be parsed, in one line.

    `what` comes before the message. What the verifier found has no place in the text: the error is
    the file's, and a note names the code that the operation was made for.
    """
    first = error.error_diagnostics[0] if error.error_diagnostics else None
    message = first.message if first else "it cannot be parsed"
    place = source_location(first.location if first else "", file)
    if place.file != file:
        notes = [f"the operation comes from {place}", *notes]
        place = SourceLocation(file)
    return UserError(what + message, place, notes)


def is_valid(op: ir.Operation) -> bool:
    """Whether `op` passes the verifier; reports nothing."""
    with DiagnosticCollector(op.context):
        try:
            return op.verify()
        except ir.MLIRError:
            return False
