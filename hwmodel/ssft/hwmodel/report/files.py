"""Output files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ssft.hwmodel.errors import MachineError


def write_whole(path: str | Path, text: str) -> None:
    """Writes UTF-8 text to `path`; until it is complete, whatever was there stays.

    Raises MachineError if the file cannot be written.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            # mkstemp makes files for their owner only; give what an ordinary open would.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineError(f"cannot write '{path}': {error.strerror}") from error
