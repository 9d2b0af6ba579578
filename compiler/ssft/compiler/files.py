"""Output files are written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ssft.compiler.diagnostics import UserError


@contextlib.contextmanager
def atomic_output(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it if the block succeeds.

    On any failure, a full disk for one, the temporary file is removed and what `path` held before
    is untouched; an `OSError` becomes a `UserError`. A link is followed, and a device or pipe
    written to, not replaced.
    """
    target = Path(path).resolve()
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            yield target
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(_default_mode())
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise UserError(
            f"cannot write '{os.fspath(path)}': {error.strerror or error}",
            notes=["nothing was written; what the file held before is still there"],
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_directory(path: str | os.PathLike[str] | None) -> None:
    """Raises a `UserError` if the directory of an output file is not there; None and ``-`` pass.

    Tools call it before they start to work, so that hours of it are not lost to a typing error.
    """
    if path is None or path == "-":
        return
    directory = Path(path).resolve().parent
    if not directory.is_dir():
        raise UserError(f"cannot write '{path}': directory '{directory}' does not exist")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all."""
    with atomic_output(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a binary file, whole or not at all."""
    with atomic_output(path) as temporary:
        temporary.write_bytes(data)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _default_mode() -> int:
    # mkstemp makes private files; an output file has the permissions that the user's umask says.
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
