"""Reads what `ssft-opt` works on: text or bytecode, whole or in parts."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ssft.compiler.diagnostics import UserError
from ssft.compiler.pipelines.collect import DiagnosticCollector
from ssft.dialects import new_context
from ssft.dialects._mlir import ir, load_irdl, register_torch_dialect

_BYTECODE = b"ML\xefR"
_STARTS_WITH_MODULE = re.compile(
    r'(?:\s|//[^\n]*\n|[#!][\w.$-]+\s*=[^\n]*\n)*(?:module\b|"builtin\.module")'
)


@dataclass(frozen=True)
class Chunk:
    """A part of the input.

    Text is preceded by as many empty lines as its part starts with in the file, so that MLIR's
    line numbers are those of the file.
    """

    name: str
    data: str | bytes
    path: Path | None = None
    """The file, if `data` is all of it."""


def read_input(path: str) -> Chunk:
    """Reads a file, or standard input for ``-``; raises `UserError` if it cannot."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot open input file '{path}': {error.strerror}") from None
    name = "<stdin>" if path == "-" else path
    file = None if path == "-" else Path(path)
    if data.startswith(_BYTECODE):
        return Chunk(name, data, file)
    try:
        return Chunk(name, data.decode(), file)
    except UnicodeDecodeError as error:
        raise UserError(f"'{name}' is neither UTF-8 text nor MLIR bytecode: {error}") from None


def split(whole: Chunk, marker: str) -> list[Chunk]:
    """Splits text at lines that hold nothing but `marker`."""
    if isinstance(whole.data, bytes):
        return [whole]
    chunks: list[Chunk] = []
    start, lines = 0, whole.data.split("\n")
    ends = [number for number, line in enumerate(lines) if line.strip() == marker.strip()]
    for end in [*ends, len(lines)]:
        chunks.append(Chunk(whole.name, "\n" * start + "\n".join(lines[start:end]) + "\n"))
        start = end + 1
    return chunks


def context_for(chunk: Chunk, allow_unregistered: bool, irdl_files: list[str]) -> ir.Context:
    """Returns a context that can parse `chunk`."""
    context = new_context()
    context.allow_unregistered_dialects = allow_unregistered
    data = chunk.data if isinstance(chunk.data, bytes) else chunk.data.encode()
    if b"torch." in data:
        register_torch_dialect(context)
    for path in irdl_files:
        _load_irdl_file(context, path)
    return context


def _load_irdl_file(context: ir.Context, path: str) -> None:
    chunk = read_input(path)
    with DiagnosticCollector(context, path) as collector:
        try:
            load_irdl(parse(chunk, context).operation)
        except ir.MLIRError as error:
            errors = collector.errors
            message = errors[0].message if errors else str(error)
            where = errors[0].location if errors else path
            raise UserError(f"cannot load IRDL file '{path}': {message}", where) from None


def parse(
    chunk: Chunk, context: ir.Context, implicit_module: bool = True
) -> ir.Module | ir.Operation:
    """Parses `chunk`; raises `ir.MLIRError` after diagnostics have been emitted.

    The result owns the IR. The bindings name the file in locations only for a single top-level
    operation or a whole file; in other cases locations say ``-``.
    """
    with context:
        if isinstance(chunk.data, bytes):
            return ir.Module.parse(chunk.data)
        if not implicit_module or _is_one_module(chunk.data):
            return ir.Operation.parse(chunk.data, source_name=chunk.name)
        if chunk.path is not None:
            return ir.Module.parseFile(str(chunk.path))
        return ir.Module.parse(chunk.data)


def _is_one_module(text: str) -> bool:
    """Whether the text is one ``module`` operation: nothing but comments follows its end.

    Judged by indentation, as printed: a second operation would start at the first column.
    """
    match = _STARTS_WITH_MODULE.match(text)
    if match is None:
        return False
    rest = text[match.end() :].split("\n")[1:]
    return not any(re.match(r'(?:module\b|func\.|"?[a-z_]+\.[a-z_])', line) for line in rest)
