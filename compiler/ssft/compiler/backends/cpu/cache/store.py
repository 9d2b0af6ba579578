"""A folder of files by name that processes share: safe to lose, never trusted blindly.

Entries appear whole (they are renamed into place), so no lock is held and readers never wait. A
file that is cut short, altered, of another version or put there by somebody else is a miss, and is
replaced. Nothing here ever fails for lack of a disk: a cache that cannot be written is empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ssft.compiler.diagnostics import UserError

DIRECTORY = "SSFT_CACHE_DIR"
"""Environment variable: where the cache is; default ``$XDG_CACHE_HOME/ssft``."""

SIZE = "SSFT_CACHE_SIZE"
"""Environment variable: how many MiB the cache may hold; default 1024."""

_MAGIC = b"ssft cache file, 1\n"
_HEADER = 64  # bytes: magic, padding, checksum
_ABANDONED = 3600.0  # seconds after which an unfinished file belongs to no living process

Data = bytes | memoryview


class Store:
    """The files under `directory`, of at most `limit` bytes together; the least recently used go.

    Files hold machine code, so only those are read that belong to this user and that no other user
    can write.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory = directory
        self.limit = limit

    def read(self, name: str) -> memoryview | None:
        """The payload of an entry; None if there is none that is sound.

        It is a copy: a map of a file that another machine deletes ends the process when it is read.
        """
        path = self.directory / name
        try:
            with path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                if not _is_ours(found) or found.st_size < _HEADER:
                    return None
                memory = memoryview(stream.read())
                if memory[:_HEADER] != _header(name, [memory[_HEADER:]]):
                    return None
                os.utime(stream.fileno())  # used just now
        except OSError:
            return None
        return memory[_HEADER:]

    def write(self, name: str, payload: Sequence[Data]) -> None:
        """Stores the concatenation of `payload`; an older entry `name` is replaced."""
        if sum(map(len, payload)) + _HEADER > self.limit:
            return
        with contextlib.suppress(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=self.directory)
            try:
                with open(handle, "wb") as stream:
                    stream.writelines([_header(name, payload), *payload])
                os.replace(temporary, self.directory / name)
            except BaseException:
                os.unlink(temporary)
                raise
            self._evict()

    def _evict(self) -> None:
        """Removes what was used longest ago until the rest fits, and files never finished."""
        entries = []
        with os.scandir(self.directory) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):  # another process evicts, too
                    entries.append((entry.stat(), entry))
        total = sum(status.st_size for status, _ in entries)
        for status, entry in sorted(entries, key=lambda pair: pair[0].st_mtime_ns):
            unfinished = entry.name.startswith(".new-")
            abandoned = unfinished and status.st_mtime < time.time() - _ABANDONED
            if abandoned or (total > self.limit and not unfinished):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.path)
                total -= status.st_size


def open_store() -> Store | None:
    """The user's cache; None if there is no place for one."""
    size = os.environ.get(SIZE) or "1024"
    if not size.isdigit():
        raise UserError(f"{SIZE} is '{size}', not a number of MiB")
    directory = os.environ.get(DIRECTORY)
    if directory:
        return Store(Path(directory), int(size) << 20)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # no home directory
        return None
    return Store(Path(base) / "ssft", int(size) << 20)


def _header(name: str, payload: Sequence[Data]) -> bytes:
    """What stands before `payload`; the name is in the checksum, so files cannot change places."""
    checksum = hashlib.sha256(name.encode() + b"\0")
    for part in payload:
        checksum.update(part)
    return _MAGIC.ljust(_HEADER - checksum.digest_size, b"\0") + checksum.digest()


def _is_ours(status: os.stat_result) -> bool:
    written_by_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == os.geteuid() and not written_by_others
