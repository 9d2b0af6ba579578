"""What keeps equal computations apart: ``barrier``.

No ``from __future__ import annotations`` here: the annotations of an operation's fields are its
declaration, and are evaluated when the class is made.
"""

from typing import TYPE_CHECKING, Any

from ssft.dialects._mlir import ext, ir
from ssft.dialects.spec import Operation, require_type, static_tensor
from ssft.dialects.ssft.dialect import Ssft

if TYPE_CHECKING:
    import numpy as np


class BarrierOp(Operation, dialect=Ssft, name="barrier", traits=[ext.Pure]):
    """Its operand, but as a value that no pass knows to be equal to it.

    What the backward pass computes again (``ssft-checkpoint``) reads what was kept through
    barriers. Otherwise merging common subexpressions would find that it is computed already, and
    keep the first result in memory instead. The result shares the memory of `source`; nothing is
    copied. Barriers are lowered last, when values have become buffers.

    Constraints:

    * (C1) `source` is a ranked tensor with static dimensions.
    * (C2) `result` has the type of `source`.

    Example::

        %again = "ssft.barrier"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
    """

    source: ext.Operand[Any]
    result: ext.Result[Any]

    @classmethod
    def build(cls, source: ir.Value, *, loc: Any = None, ip: Any = None) -> "BarrierOp":
        """Puts a barrier behind `source`."""
        return cls.create([source.type], [source], loc=loc, ip=ip)

    def check(self) -> None:
        """Checks C1 and C2."""
        source = static_tensor(self.source, "source")  # barrier_c1
        require_type(self.result.type, source, "result")  # barrier_c2

    def reference(self, source: "np.ndarray") -> "tuple[np.ndarray]":
        """The result, computed by NumPy."""
        return (source,)
