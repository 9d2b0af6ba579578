"""Source locations of the captured operations.

A location travels as text in the ``stack_trace`` of FX nodes, through export and both traces, and
becomes an MLIR location at import: the user's Python frames for forward operations, the same behind
``<backward>`` for backward ones. The rest is the optimizer's, which runs in nobody's line: it has
``<optimizer>``, before the frames that made the optimizer if these are known.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx
from torch.fx.proxy import TracerBase

from ssft.compiler.analysis.step import body, find_step, operations
from ssft.compiler.diagnostics import SourceLocation
from ssft.dialects._mlir import ir

FUNCTION = "step"
OPTIMIZER = "<optimizer>"
BACKWARD = "<backward>"
Frame = tuple[str, int]
"""A file and a line."""
_FRAME = re.compile(r'File "([^"]+)", line ([0-9]+)')
_TORCH = os.path.dirname(torch.__file__) + os.sep
_TORCH_LAYERS = os.path.join(_TORCH, "nn", "modules") + os.sep
_HERE = os.path.dirname(__file__) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep


def _own_frames(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Keeps the frames below the loss module that are not torch's, Python's or ours."""
    start = max(
        (i for i, frame in enumerate(frames) if frame.filename.startswith(_HERE)), default=-1
    )
    below = [
        frame
        for frame in frames[start + 1 :]
        if not frame.filename.startswith("<")
        and (
            not frame.filename.startswith(_STDLIB)
            or "site-packages" in frame.filename
            or "dist-packages" in frame.filename
        )
    ]
    users = [frame for frame in below if not frame.filename.startswith(_TORCH)]
    if users:
        return users
    # A container called by nobody but us: the layer's own line is the best there is.
    return [frame for frame in below if frame.filename.startswith(_TORCH_LAYERS)]


@contextmanager
def user_frames_in_traces() -> Iterator[None]:
    """Makes torch's tracers record every frame of the user's code.

    By default they keep only functions called ``forward``, so that an operation in a helper
    function or in the loss would point at its caller or at nothing.
    """
    original = TracerBase._filter_traceback_frames

    def keep(self: TracerBase, frames: traceback.StackSummary) -> traceback.StackSummary:
        return traceback.StackSummary.from_list(_own_frames(frames))

    TracerBase._filter_traceback_frames = keep  # type: ignore[method-assign]
    try:
        yield
    finally:
        TracerBase._filter_traceback_frames = original  # type: ignore[method-assign]


@contextmanager
def frames_of_optimizers() -> Iterator[list[Frame]]:
    """Fills the list that it yields with the user's frames that make an optimizer, outermost first.

    Of several optimizers made meanwhile the last one counts.
    """
    original = torch.optim.Optimizer.__init__
    found: list[Frame] = []

    def noting(self: torch.optim.Optimizer, *arguments: Any, **options: Any) -> None:
        frames = _own_frames(traceback.StackSummary.from_list(traceback.extract_stack()[:-1]))
        found[:] = [(frame.filename, frame.lineno or 0) for frame in frames]
        original(self, *arguments, **options)

    torch.optim.Optimizer.__init__ = noting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        torch.optim.Optimizer.__init__ = original  # type: ignore[method-assign]


def optimizer_trace(frames: Sequence[Frame]) -> str:
    """The ``stack_trace`` of operations of an optimizer that `frames` made."""
    lines = (f'  File "{file}", line {line}' for file, line in frames)
    return "\n".join([OPTIMIZER, *lines])


def frames_of(node: fx.Node) -> list[Frame]:
    """Returns the (file, line) pairs of `node`, outermost first; empty if nothing is known."""
    return [(file, int(line)) for file, line in _FRAME.findall(node.stack_trace or "")]


def source_location(node: fx.Node) -> SourceLocation | None:
    """Returns the innermost frame of `node`."""
    frames = frames_of(node)
    return SourceLocation(*frames[-1]) if frames else None


def mlir_location(node: fx.Node, context: ir.Context) -> ir.Location:
    """Returns the location of an FX node as the MLIR location that its operations carry."""
    frames = [ir.Location.file(file, line, 0, context=context) for file, line in frames_of(node)]
    optimizer = (node.stack_trace or "").startswith(OPTIMIZER) or node.op == "output"
    if not frames and optimizer:
        return ir.Location.name(OPTIMIZER, context=context)
    if not frames:
        return ir.Location.unknown(context=context)
    location = frames[-1]
    if len(frames) > 1:
        location = ir.Location.callsite(frames[-1], frames[-2::-1], context=context)
    label = BACKWARD if node.meta.get("autograd_backward") else ""
    if optimizer:
        label = OPTIMIZER
    if label:
        name = ir.Location.name(label, context=context)
        location = ir.Location.callsite(name, [location], context=context)
    return location


def use_node_locations(importer: Any, context: ir.Context) -> None:
    """Makes a torch-mlir ``FxImporter`` take locations from `mlir_location`."""
    cache = importer._cc
    members = {
        "__slots__": (),
        "get_node_location": lambda self, node: mlir_location(node, context),
    }
    cache.__class__ = type("LocatingContextCache", (type(cache),), members)


def locate_signature(module: ir.Module, names: Sequence[str]) -> None:
    """Gives ``@step`` and each of its arguments its name as location."""
    step = find_step(module.operation)
    step.location = ir.Location.name(FUNCTION, context=module.context)
    for argument, name in zip(body(step).arguments, names, strict=True):
        argument.set_location(ir.Location.name(name, context=module.context))


def locate_everything(module: ir.Module) -> None:
    """Gives operations without a location that of the next operation that has one.

    Canonicalization makes constants at the head of the function without any, and torch has lost the
    frames of what it traced in an inner graph.
    """
    unknown = ir.Location.unknown(module.context)
    last = None
    for op in reversed(list(operations(find_step(module.operation)))):
        if op.location == unknown and last is not None:
            op.location = last
        last = op.location
