"""What users of the machine model can get wrong."""

from __future__ import annotations

from collections.abc import Iterable


class MachineError(Exception):
    """A failure that the user can mend: a bad file, a bad setting, a bad program.

    `message` is one lower-case sentence without a full stop that names what is wrong; `notes` say
    more, or what to do. Tools print them, and never a traceback.
    """

    def __init__(self, message: str, notes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.notes = tuple(notes)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"note: {note}" for note in self.notes)])
