"""Messages to the user: what failed, where, what to do about it.

Two kinds of failure are kept apart. A `UserError` is something the user can mend: it is printed as
``file:line:col: error: lower-case sentence`` with notes and never as a traceback. Anything else
that escapes is a bug of ours, and the tools print a reproducer for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SourceLocation:
    """A place in a file; `line` and `column` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column or 1}"


class UserError(Exception):
    """A failure that the user can mend.

    `message` is one lower-case sentence without a full stop that names the operation and the
    value; `notes` say what to do. `exit_code` is 1 for a diagnosed failure and 2 for a bad command
    line.
    """

    def __init__(
        self,
        message: str,
        location: SourceLocation | str | None = None,
        notes: Iterable[str] = (),
        exit_code: int = 1,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.location = SourceLocation(location) if isinstance(location, str) else location
        self.notes = tuple(notes)
        self.exit_code = exit_code

    def render(self, tool: str = "ssft") -> str:
        """Returns the text that a tool prints to stderr."""
        where = str(self.location) if self.location else tool
        lines = [f"{where}: error: {self.message}"]
        lines += [f"{where}: note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()
