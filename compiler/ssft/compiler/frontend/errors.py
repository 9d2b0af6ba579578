"""Turns what PyTorch raises while a model is traced into messages about the user's code."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from ssft.compiler.diagnostics import SourceLocation, UserError

_INTERNAL = (
    os.path.dirname(torch.__file__) + os.sep,
    os.path.dirname(__file__) + os.sep,
    os.path.dirname(os.__file__) + os.sep + "contextlib",
    os.path.dirname(os.__file__) + os.sep + "importlib",
)
_MAX_FRAMES = 6


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Returns the frames of `error` in the user's or a library's code, innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        frame
        for frame in frames
        if not frame.filename.startswith((*_INTERNAL, "<")) and frame.lineno
    ]


def from_exception(
    error: BaseException, action: str, further_notes: Iterable[str] = ()
) -> UserError:
    """Describes `error`, raised by the user's code during `action`, with its frames as notes."""
    frames = user_frames(error)
    text = str(error).strip().splitlines()
    summary = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    notes = [
        f"{frame.filename}:{frame.lineno}: in {frame.name}: {frame.line}"
        for frame in frames[-_MAX_FRAMES:]
    ]
    location = None
    if frames:
        own = [frame for frame in frames if "site-packages" not in frame.filename]
        last = (own or frames)[-1]
        location = SourceLocation(last.filename, last.lineno or 0, (last.colno or 0) + 1)
    return UserError(f"{action} failed: {summary}", location, [*notes, *further_notes])


@contextmanager
def capture_errors() -> Iterator[None]:
    """Reports failures of tracing as `UserError`, without what torch says about them on stderr."""
    said = io.StringIO()
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(said):
            yield
    except UserError:
        raise
    except Exception as error:
        raise _explain(error) from error
    finally:
        logging.disable(disabled)
    # Nothing failed, so this is the model's own.
    sys.stderr.write(said.getvalue())


def _explain(error: Exception) -> UserError:
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, UserError):
            return chain
        name = type(chain).__name__
        if "DataDependent" in name or "DynamicOutputShape" in name:
            diagnosed = from_exception(chain, "tracing the model")
            return UserError(
                "the model's control flow or shapes depend on the values of its tensors",
                diagnosed.location,
                [
                    *diagnosed.notes,
                    "the step is compiled once for all batches of this shape: replace the branch "
                    "by torch.where, or data-dependent shapes by masks",
                ],
            )
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return from_exception(error, "tracing the model")
