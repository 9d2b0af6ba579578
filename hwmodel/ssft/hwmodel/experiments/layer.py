"""One linear layer as a workload: forward, both gradients, and the update of what trains.

    Y[t, o] = sum_i X[t, i] W[o, i]        dX[t, i] = sum_o dY[t, o] W[o, i]
    dW[o, i] = sum_t dY[t, o] X[t, i]      AdamW on the elements of W that the mask selects

Activations and their gradients are bf16, weights and both moments f32. The layer stands alone: the
first tiles of each phase are loaded while nothing else runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ssft.hwmodel.config import Machine
from ssft.hwmodel.errors import MachineError

Mask = Literal[
    "full",
    "rows",
    "columns_transposed",
    "columns_row_major",
    "unstructured",
    "unstructured_packed",
]
"""What trains, and how it is stored.

`full`: everything. `rows`: rows of W, which are contiguous. `columns_transposed`: columns of W,
which is stored as [i, o], so that they are contiguous. `columns_row_major`: columns of W stored as
[o, i], gathered element by element. `unstructured`: any elements of W; its gradient is computed
whole, and the elements of weight and both moments are gathered from dense matrices;
`unstructured_packed`: the same with moments kept as packed lists.
"""

MASKS: tuple[Mask, ...] = get_args(Mask)

LARGE_SCRATCHPAD = 16 << 20
"""Bytes from which on a 4096 x 4096 layer is worked on in tiles of a sensible size."""

MAX_LIST = 65535
"""Entries of the list of a column gather."""


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A layer with weights ``[outputs, inputs]``, on `tokens` tokens."""

    tokens: int = 16384
    outputs: int = 4096
    inputs: int = 4096

    def __post_init__(self) -> None:
        for name in ("tokens", "outputs", "inputs"):
            value = getattr(self, name)
            if value < 16 or value % 16:
                raise MachineError(f"{name} is {value}, expected a multiple of 16")

    @classmethod
    def suited_to(cls, machine: Machine) -> LinearLayer:
        """The usual layer, or a smaller one where the scratchpad would cut that into crumbs."""
        if machine.scratchpad.bytes >= LARGE_SCRATCHPAD:
            return cls()
        return cls(tokens=2048, outputs=1024, inputs=1024)

    @property
    def macs(self) -> int:
        """Multiply-adds of each of the three dense products."""
        return self.tokens * self.outputs * self.inputs

    def __str__(self) -> str:
        return f"{self.outputs} x {self.inputs} on {self.tokens} tokens"


@dataclass(frozen=True, slots=True)
class Selection:
    """What a mask selects of a layer.

    The gradient that is computed is ``[rows, columns]``; of those `listed` says which dimension is
    selected by a list: ``rows``, ``columns`` or None. `transposed`: the weight is stored as
    [inputs, outputs], and rows of the gradient are inputs.
    """

    mask: Mask
    rows: int
    columns: int
    listed: Literal["rows", "columns"] | None
    transposed: bool
    elements: int

    @property
    def unstructured(self) -> bool:
        """Whether single elements are selected."""
        return self.mask.startswith("unstructured")


def select(layer: LinearLayer, mask: Mask, density: float) -> Selection:
    """What `mask` selects at `density`, the share of the weight's elements that train.

    Raises MachineError if the density is not in (0, 1].
    """
    if not 0 < density <= 1:
        raise MachineError(f"the density is {density:g}, expected more than 0 and at most 1")
    out, into = layer.outputs, layer.inputs
    if mask == "full" or (density == 1 and not mask.startswith("unstructured")):
        transposed = mask == "columns_transposed"
        rows, columns = (into, out) if transposed else (out, into)
        return Selection("full", rows, columns, None, transposed, out * into)
    if mask == "rows":
        rows = max(1, round(density * out))
        return Selection(mask, rows, into, "rows", False, rows * into)
    if mask == "columns_transposed":
        rows = max(1, round(density * into))
        return Selection(mask, rows, out, "rows", True, rows * out)
    if mask == "columns_row_major":
        columns = max(1, round(density * into))
        return Selection(mask, out, columns, "columns", False, out * columns)
    per_row = max(1, round(density * into))
    return Selection(mask, out, into, None, False, out * per_row)
