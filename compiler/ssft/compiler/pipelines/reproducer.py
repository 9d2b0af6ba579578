"""Reproducers: one file that holds IR and the pipeline that failed on it, as MLIR writes them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ssft.compiler.files import write_text
from ssft.compiler.pipelines.collect import is_valid
from ssft.dialects._mlir import ir

_RESOURCE = re.compile(
    r"\{-#\s*external_resources:\s*\{\s*mlir_reproducer:\s*\{(?P<body>.*?)\}\s*\}\s*#-\}\s*\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class Reproducer:
    """What to run on what; `module` is the IR as text."""

    module: str
    pipeline: str
    verify_each: bool = True

    def __str__(self) -> str:
        quoted = self.pipeline.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f"{self.module.rstrip()}\n\n{{-#\n  external_resources: {{\n    mlir_reproducer: {{\n"
            f'      pipeline: "{quoted}",\n      disable_threading: true,\n'
            f"      verify_each: {str(self.verify_each).lower()}\n    }}\n  }}\n#-}}\n"
        )


def make_reproducer(op: ir.Operation, pipeline: str, verify_each: bool) -> Reproducer:
    """Returns the reproducer for running `pipeline` on `op` as it is now, with its locations."""
    valid = is_valid(op)
    text = op.get_asm(
        enable_debug_info=True, print_generic_op_form=not valid, assume_verified=valid
    )
    return Reproducer(text, pipeline, verify_each)


def parse_reproducer(text: str) -> Reproducer | None:
    """Returns the reproducer that `text` holds, or `None` if it holds IR alone."""
    match = _RESOURCE.search(text)
    pipeline = match and re.search(r'pipeline:\s*"((?:[^"\\]|\\.)*)"', match["body"])
    if not match or not pipeline:
        return None
    verify = re.search(r"verify_each:\s*(true|false)", match["body"])
    return Reproducer(
        text[: match.start()],
        re.sub(r"\\(.)", r"\1", pipeline.group(1)),
        verify is None or verify.group(1) == "true",
    )


def write_reproducer(reproducer: Reproducer, where: Path) -> Path:
    """Writes `reproducer` whole or not at all and returns its path.

    `where` is the file, or an existing directory in which a name that no other input has is made.
    Raises `UserError` if it cannot be written.
    """
    text = str(reproducer)
    if where.is_dir():
        where = where / f"ssft-repro-{hashlib.sha256(text.encode()).hexdigest()[:12]}.mlir"
    write_text(where, text)
    return where
