"""``-verify-diagnostics``: compares diagnostics with comments in the input.

The comments are MLIR's: ``// expected-error@+1 {{part of the message}}``, with ``error``,
``warning``, ``remark`` or ``note``, an optional ``-re`` (then ``{{…}}`` inside the braces is a
regular expression), and an optional line: ``@+N``, ``@-N``, ``@above``, ``@below``, ``@unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ssft.compiler.diagnostics import SourceLocation
from ssft.compiler.pipelines.collect import Diagnostic

_EXPECTED = re.compile(
    r"expected-(?P<severity>error|warning|remark|note)(?P<regex>-re)?\s*"
    r"(?:@(?P<where>[+-]\d+|above|below|unknown))?\s*\{\{(?P<text>.*)\}\}\s*$"
)
_MALFORMED = re.compile(r"//.*expected-(error|warning|remark|note)")

# What the bindings attach to errors from the verifier; mlir-opt leaves it out in this mode.
_AUTOMATIC_NOTE = "see current operation: "


@dataclass
class Expectation:
    """One comment: a diagnostic expected at `line` (0: at no known line)."""

    severity: str
    line: int
    pattern: re.Pattern[str]
    text: str
    written_at: int
    met: bool = False

    def matches(self, diagnostic: Diagnostic) -> bool:
        """Whether `diagnostic` is what this comment expects."""
        return (
            self.severity == diagnostic.severity
            and self.line == diagnostic.location.line
            and self.pattern.search(diagnostic.message) is not None
        )


def read_expectations(text: str) -> list[Expectation]:
    """Returns the expectations written in `text`; raises `ValueError` for a malformed one."""
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        match = _EXPECTED.search(line)
        if match:
            at = _line(match["where"], number, lines)
            pattern = _pattern(match["text"], bool(match["regex"]))
            found.append(Expectation(match["severity"], at, pattern, match["text"], number))
        elif _MALFORMED.search(line):
            raise ValueError(f"{number}: malformed expectation: {line.strip()}")
    return found


def check(
    name: str, text: str, diagnostics: Iterable[Diagnostic], only_expected: bool = False
) -> list[str]:
    """Returns one message for each diagnostic that is unexpected or missing.

    `name` is the input's name; diagnostics elsewhere count as being at an unknown location. With
    `only_expected`, diagnostics that no comment mentions are fine.
    """
    try:
        expectations = read_expectations(text)
    except ValueError as error:
        return [f"{name}:{error}"]
    problems = []
    for diagnostic in (_local(inner, name) for outer in diagnostics for inner in outer.flat()):
        if diagnostic.severity == "note" and diagnostic.message.startswith(_AUTOMATIC_NOTE):
            continue
        unmet = [e for e in expectations if not e.met and e.matches(diagnostic)]
        if unmet:
            unmet[0].met = True
        elif not only_expected:
            problems.append(
                f"{diagnostic.location}: error: unexpected {diagnostic.severity}: "
                f"{diagnostic.message}"
            )
    problems += [
        f'{name}:{e.written_at}: error: expected {e.severity} "{e.text}" was not produced'
        for e in expectations
        if not e.met
    ]
    return problems


def _local(diagnostic: Diagnostic, name: str) -> Diagnostic:
    if diagnostic.location.file == name:
        return diagnostic
    return Diagnostic(diagnostic.severity, SourceLocation(name), diagnostic.message)


def _line(where: str | None, number: int, lines: list[str]) -> int:
    """Returns the line that a designator at line `number` refers to."""
    if where is None:
        return number
    if where == "unknown":
        return 0
    if where[0] in "+-":
        return number + int(where)
    step = -1 if where == "above" else 1
    number += step
    while 0 < number <= len(lines) and _EXPECTED.search(lines[number - 1]):
        number += step
    return number


def _pattern(text: str, regex: bool) -> re.Pattern[str]:
    if not regex:
        return re.compile(re.escape(text))
    parts = re.split(r"\{\{(.*?)\}\}", text)
    return re.compile(
        "".join(f"(?:{p})" if number % 2 else re.escape(p) for number, p in enumerate(parts))
    )
