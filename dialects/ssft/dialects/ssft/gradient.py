"""The gradient of (a slice of) a weight: ``weight_grad``."""

from typing import TYPE_CHECKING, Any

from ssft.dialects._mlir import ext, ir
from ssft.dialects.spec import Operation, require, static_tensor
from ssft.dialects.ssft.dialect import Ssft

if TYPE_CHECKING:
    import numpy as np


class WeightGradOp(Operation, dialect=Ssft, name="weight_grad", traits=[ext.Pure]):
    """Contracts two activations over all their leading (token) dimensions.

    ``result[i, j] = sum over t of lhs[t, i] * rhs[t, j]``. For a layer ``y = x W^T`` with the
    weight ``W: [out, in]``, `lhs` is the gradient of ``y`` and `rhs` is ``x``; gathering rows of
    the gradient before this operation, or columns of ``x``, gives the gradient of a slice of ``W``
    without computing the rest. Products and sums are in the result's element type.

    Constraints:

    * (C1) `lhs` and `rhs` are ranked tensors with static dimensions, at least two each.
    * (C2) All dimensions of `lhs` and `rhs` but the last are the same.
    * (C3) The elements of `lhs` and `rhs` are of one floating-point type.
    * (C4) `result` is ``tensor<axbxT>``, where a and b are the last dimensions of `lhs` and `rhs`.
    * (C5) T is a floating-point type at least as wide as the operands' element type.

    Example::

        %dw = "ssft.weight_grad"(%dy, %x) : (tensor<2x4x8xf32>, tensor<2x4x3xf32>) -> tensor<8x3xf32>
    """  # noqa: E501 (an operation's type does not break)

    lhs: ext.Operand[Any]
    rhs: ext.Operand[Any]
    result: ext.Result[Any]

    @classmethod
    def build(
        cls,
        lhs: ir.Value,
        rhs: ir.Value,
        element_type: ir.Type | None = None,
        *,
        loc: Any = None,
        ip: Any = None,
    ) -> "WeightGradOp":
        """Contracts `lhs` and `rhs`; `element_type` of the result defaults to the operands'."""
        shape = [lhs.type.shape[-1], rhs.type.shape[-1]]
        unknown = ir.Location.unknown(lhs.type.context)
        type_ = ir.RankedTensorType.get(shape, element_type or lhs.type.element_type, loc=unknown)
        return cls.create([type_], [lhs, rhs], loc=loc, ip=ip)

    def check(self) -> None:
        """Checks C1 to C5."""
        lhs, rhs = static_tensor(self.lhs, "lhs"), static_tensor(self.rhs, "rhs")  # weight_grad_c1
        for name, type_ in (("lhs", lhs), ("rhs", rhs)):
            require(
                type_.rank >= 2, f"'{name}' needs a token dimension, but is {type_}"
            )  # weight_grad_c1
        require(  # weight_grad_c2
            lhs.shape[:-1] == rhs.shape[:-1],
            f"'lhs' has token dimensions {lhs.shape[:-1]}, but 'rhs' has {rhs.shape[:-1]}",
        )
        same = lhs.element_type == rhs.element_type and isinstance(lhs.element_type, ir.FloatType)
        require(  # weight_grad_c3
            same,
            f"'lhs' and 'rhs' must hold the same floating-point type, "
            f"not {lhs.element_type} and {rhs.element_type}",
        )
        result = static_tensor(self.result, "result")
        shape = [lhs.shape[-1], rhs.shape[-1]]
        require(  # weight_grad_c4
            result.shape == shape, f"'result' has dimensions {result.shape}, expected {shape}"
        )
        element_type = result.element_type
        wide = isinstance(element_type, ir.FloatType) and (
            element_type == lhs.element_type or element_type.width > lhs.element_type.width
        )
        require(  # weight_grad_c5
            wide, f"'result' holds {element_type}, which is no wider than {lhs.element_type}"
        )

    def reference(self, lhs: "np.ndarray", rhs: "np.ndarray") -> "tuple[np.ndarray]":
        """The result, computed by NumPy in the result's element type."""
        import numpy as np

        from ssft.dialects.scalar import numpy_dtype, rounded

        element_type = self.result.type.element_type
        dtype = numpy_dtype(element_type)
        flat: list[Any] = [x.reshape(-1, x.shape[-1]).astype(dtype) for x in (lhs, rhs)]
        return (rounded(np.einsum("ti,tj->ij", *flat), element_type),)
