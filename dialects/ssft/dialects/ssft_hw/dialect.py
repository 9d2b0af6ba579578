"""The ``ssft_hw`` dialect."""

from __future__ import annotations

from ssft.dialects._mlir import ext

QUEUES = ("dma_in", "dma_out", "tensor", "vector", "index")
"""The accelerator's in-order queues, by their numbers."""

DTYPES = ("i1", "i8", "i32", "i64", "bf16", "f32", "f64")
"""The accelerator's element types."""


class SsftHw(ext.Dialect, name="ssft_hw"):
    """Programs of the SSFT-Hw accelerator: its commands in five queues, and their tables.

    An operation is a command or an entry of a table, as the machine has it: nothing is computed,
    and there are no values. A program is exported for inspection, and imported back exactly.
    """
