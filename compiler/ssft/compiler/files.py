"""Output files are written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ssft.compiler.diagnostics import UserError


@contextlib.contextmanager
def atomic_output(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it if the block succeeds.

    On any failure, a full disk for one, the temporary file is removed and what `path` held before
    is untouched; an `OSError` becomes a `UserError`. A link is followed, and a device or pipe
    written to, not replaced; so is what standard output or error goes to (``/dev/stdout``).
    """
    replaced = has_place(path)
    try:
        with _replacing(Path(path).resolve()) if replaced else _writing(path) as place:
            yield place
    except OSError as error:
        kept = ["nothing was written; what the file held before is still there"]
        raise UserError(
            f"cannot write '{os.fspath(path)}': {error.strerror or error}",
            notes=kept if replaced else [],
        ) from None


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yields a new file that replaces `target`."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(_default_mode())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields `path`, or, if that is an open descriptor of ours, a file that is copied to it.

    Opening such a path anew would begin at the start of a file that output is appended to.
    """
    descriptor = _descriptor(path)
    if descriptor is None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        temporary = Path(directory, "output")
        yield temporary
        (sys.stdout if descriptor == 1 else sys.stderr).flush()
        with temporary.open("rb") as data, os.fdopen(os.dup(descriptor), "wb") as stream:
            shutil.copyfileobj(data, stream)


def has_place(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is or can become a file, which others may lie beside.

    Not so are devices, pipes, folders, and what standard output or error goes to.
    """
    target = Path(path)
    return (target.is_file() or not target.exists()) and _descriptor(path) is None


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


def _descriptor(path: str | os.PathLike[str]) -> int | None:
    """Which of standard output and error goes to `path`; None if neither does."""
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(path), os.fstat(number)):
                return number
    return None


def _default_mode() -> int:
    # mkstemp makes private files; an output file has the permissions that the user's umask says.
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
