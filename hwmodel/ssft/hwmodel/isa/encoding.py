"""Programs as bytes: one file that holds the queues' commands and all tables.

File: a head of 64 bytes (magic, version, fingerprint of the instruction set, size of the body,
SHA-256 of the head's other fields and the body), then the body: the size of the header (8 bytes),
the header (JSON: the program's tables, and how long the following are), the commands of the five
queues, the argument lists (32-bit words), and the contents of constants. All numbers are
little-endian.

A program file is data: reading it runs nothing, and whatever is wrong with it is a `MachineError`.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from pathlib import Path
from typing import Any, get_type_hints
from zlib import crc32

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa.command_encoding import (
    COMMAND_BYTES,
    LAYOUTS,
    decode_commands,
    encode_commands,
)
from ssft.hwmodel.isa.commands import Queue
from ssft.hwmodel.isa.contraction import Contraction
from ssft.hwmodel.isa.microprogram import MicroProgram
from ssft.hwmodel.isa.program import DramBuffer, Program, SourceOp, SpmSlot
from ssft.hwmodel.isa.tables import TableError, from_plain, schema, to_plain

MAGIC = b"SSFT-HW\n"
VERSION = 1

_HEAD = struct.Struct("<8sIIQ8x32s")
_DIGEST_AT = _HEAD.size - 32
_SIZE = struct.Struct("<Q")

_TABLES: dict[str, Any] = {
    "machine": str,
    "precision": get_type_hints(Program)["precision"],
    "dram_bytes": int,
    "spm_bytes": int,
    "spm_lower_bound": int,
    "contractions": list[Contraction],
    "micro_programs": list[MicroProgram],
    "dram": list[DramBuffer],
    "spm": list[SpmSlot],
    "operations": list[SourceOp],
}
_LENGTHS: dict[str, Any] = {"queues": list[int], "arguments": list[int], "blobs": list[int]}

FINGERPRINT = crc32(
    repr(
        [
            *((name, schema(kind)) for name, kind in _TABLES.items()),
            *((c.__name__, c.OPCODE, layout.bits) for c, layout in LAYOUTS.items()),
        ]
    ).encode()
)
"""Tells programs for another state of the instruction set, which `VERSION` may not."""


def encode(program: Program) -> bytes:
    """Returns a program as bytes; the same program always gives the same ones.

    Raises `MachineError` if a value does not fit its field, or is of the wrong type.
    """
    blobs: list[bytes] = []
    queues = [encode_commands(queue, program.queues.get(queue, [])) for queue in Queue]
    header = {name: _plain(program, name, kind, blobs) for name, kind in _TABLES.items()}
    header["queues"] = [len(data) // COMMAND_BYTES for data in queues]
    header["arguments"] = [len(arguments) for arguments in program.arguments]
    header["blobs"] = [len(blob) for blob in blobs]
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    body = b"".join(
        [_SIZE.pack(len(text)), text, *queues, _encode_arguments(program.arguments), *blobs]
    )
    head = _HEAD.pack(MAGIC, VERSION, FINGERPRINT, len(body), bytes(32))[:_DIGEST_AT]
    return head + _digest(head, body) + body


def _digest(head: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(body)
    return digest.digest()


def _plain(program: Program, name: str, kind: Any, blobs: list[bytes]) -> Any:
    try:
        return to_plain(kind, getattr(program, name), blobs)
    except TableError as error:
        raise MachineError(f"program has no encoding: {name}{_joined(error)}") from None


def _joined(error: TableError) -> str:
    text = str(error)
    return text if text.startswith("[") else f" {text}"


def _encode_arguments(lists: list[tuple[int, ...]]) -> bytes:
    parts = []
    for number, addresses in enumerate(lists):
        try:
            parts.append(struct.pack(f"<{len(addresses)}I", *addresses))
        except (struct.error, TypeError):
            raise MachineError(
                f"argument list {number} is {addresses!r}, expected numbers of 32 bits"
            ) from None
    return b"".join(parts)


def decode(data: bytes) -> Program:
    """Returns the program that `data` encode; ``decode(encode(p)) == p``.

    Raises `MachineError` if they are not a program, one of another version, or damaged.
    """
    body = _verified_body(data)
    reader = _Reader(body)
    (size,) = _SIZE.unpack(reader.take(_SIZE.size, "the header's size"))
    header = _header(bytes(reader.take(size, "the header")))
    lengths = {name: _read(header, name, kind, []) for name, kind in _LENGTHS.items()}
    if len(lengths["queues"]) != len(Queue):
        raise _damaged(f"it has {len(lengths['queues'])} queues, expected {len(Queue)}")
    queues = {
        queue: decode_commands(queue, reader.take(COMMAND_BYTES * count, f"queue {queue.name}"))
        for queue, count in zip(Queue, lengths["queues"], strict=True)
    }
    arguments = [
        struct.unpack(f"<{count}I", reader.take(4 * count, "an argument list"))
        for count in lengths["arguments"]
    ]
    blobs = [bytes(reader.take(count, "a constant")) for count in lengths["blobs"]]
    reader.finish()
    tables = {name: _read(header, name, kind, blobs) for name, kind in _TABLES.items()}
    return Program(queues=queues, arguments=arguments, **tables)


def _verified_body(data: bytes) -> memoryview:
    if data[: len(MAGIC)] != MAGIC:
        raise MachineError(
            "this is not an SSFT-Hw program",
            [f"a program starts with {MAGIC!r}, this with {data[: len(MAGIC)]!r}"],
        )
    if len(data) < _HEAD.size:
        raise _damaged(f"its head has {len(data)} bytes, expected {_HEAD.size}")
    _, version, fingerprint, size, digest = _HEAD.unpack_from(data)
    if version != VERSION:
        raise MachineError(
            f"program has version {version}, but this is a reader of version {VERSION}",
            ["make the program again from its plan"],
        )
    body = memoryview(data)[_HEAD.size :]
    if len(body) != size:
        raise _damaged(f"it has {len(body)} bytes after its head, expected {size}")
    if _digest(data[:_DIGEST_AT], body) != digest:
        raise _damaged("its SHA-256 is not the one that it had when it was written")
    if fingerprint != FINGERPRINT:
        raise MachineError(
            "program is for another state of the instruction set",
            ["make the program again from its plan"],
        )
    return body


def _damaged(why: str) -> MachineError:
    return MachineError(f"program is damaged: {why}", ["make it again from its plan"])


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"its header is not JSON: {error}") from None
    if not isinstance(header, dict) or header.keys() != _TABLES.keys() | _LENGTHS.keys():
        raise _damaged("its header does not have the tables of this version")
    return header


def _read(header: dict[str, Any], name: str, kind: Any, blobs: list[bytes]) -> Any:
    try:
        return from_plain(kind, header[name], blobs)
    except TableError as error:
        raise _damaged(f"{name}{_joined(error)}") from None


class _Reader:
    """Takes pieces of the body, one after the other."""

    def __init__(self, body: memoryview) -> None:
        self.body, self.at = body, 0

    def take(self, size: int, name: str) -> memoryview:
        if not 0 <= size <= len(self.body) - self.at:
            raise _damaged(f"{name} has {size} bytes, but {len(self.body) - self.at} are left")
        self.at += size
        return self.body[self.at - size : self.at]

    def finish(self) -> None:
        if self.at != len(self.body):
            raise _damaged(f"{len(self.body) - self.at} bytes are left over")


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Writes a program to a file; on a failure what the file held before is still there."""
    write_whole(path, encode(program))


def load(path: str | os.PathLike[str]) -> Program:
    """Returns the program in a file. Raises `MachineError` if there is none or it is damaged."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise MachineError(f"cannot read '{os.fspath(path)}': {error.strerror}") from None
    try:
        return decode(data)
    except MachineError as error:
        raise MachineError(f"'{os.fspath(path)}': {error.message}", error.notes) from None


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file whole or not at all."""
    target = Path(path).resolve()
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():  # a pipe or a device
            target.write_bytes(data)
            return
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as stream:
            temporary = Path(stream.name)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise MachineError(f"cannot write '{os.fspath(path)}': {error.strerror}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
