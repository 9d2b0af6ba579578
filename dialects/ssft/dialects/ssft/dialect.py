"""The ``ssft`` dialect."""

from __future__ import annotations

from ssft.dialects._mlir import ext


class Ssft(ext.Dialect, name="ssft"):
    """Structured-sparse fine-tuning on ranked tensors with static shapes.

    Its operations move slices of tensors, compute the gradient of a slice of a weight, and apply
    an optimizer to a slice. All are pure: a slice that is written gives a new tensor value, and
    bufferization turns that into an update in place. They are lowered to ``linalg``, ``tensor``
    and ``scf`` by ``convert-ssft-to-linalg``, before inlining and bufferization.
    """
