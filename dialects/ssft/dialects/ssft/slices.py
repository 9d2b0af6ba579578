"""Operations that read and write slices: ``gather``, ``scatter``, ``scatter_add``, ``save_slice``.

No ``from __future__ import annotations`` here: the annotations of an operation's fields are its
declaration, and are evaluated when the class is made.
"""

from typing import TYPE_CHECKING, Any

from ssft.dialects._mlir import ext, ir
from ssft.dialects.spec import (
    Operation,
    dimension,
    i64,
    index_list,
    require,
    require_distinct,
    require_in_range,
    require_type,
    static_tensor,
    with_dimension,
)
from ssft.dialects.ssft.dialect import Ssft

if TYPE_CHECKING:
    import numpy as np


class GatherOp(Operation, dialect=Ssft, name="gather", traits=[ext.Pure]):
    """Selects positions of a tensor along one dimension.

    ``result[…, j, …] = source[…, indices[j], …]`` with ``j`` in dimension `dim`. Indices may
    repeat and come in any order.

    Constraints:

    * (C1) `source` is a ranked tensor with static dimensions, and `dim` is one of them.
    * (C2) `indices` is a ``tensor<kxi64>``; k may be 0.
    * (C3) `result` has the type of `source` with k elements along `dim`.
    * (C4) If `indices` is a constant, its elements lie in ``[0, extent of dim)``.

    Example::

        %s = "ssft.gather"(%w, %i) {dim = 1 : i64} : (tensor<8x6xf32>, tensor<2xi64>) -> tensor<8x2xf32>
    """  # noqa: E501 (an operation's type does not break)

    source: ext.Operand[Any]
    indices: ext.Operand[Any]
    dim: ir.IntegerAttr
    result: ext.Result[Any]

    @classmethod
    def build(
        cls, source: ir.Value, indices: ir.Value, dim: int, *, loc: Any = None, ip: Any = None
    ) -> "GatherOp":
        """Gathers `indices` of dimension `dim` of `source`; the result type is inferred."""
        type_ = with_dimension(source.type, dim, indices.type.shape[0])
        return cls.create(
            [type_], [source, indices], {"dim": i64(dim, type_.context)}, loc=loc, ip=ip
        )

    def check(self) -> None:
        """Checks C1 to C4."""
        source = static_tensor(self.source, "source")  # gather_c1
        dim = dimension(self.dim, source, "source")  # gather_c1
        count = index_list(self.indices, "indices")  # gather_c2
        require_type(self.result.type, with_dimension(source, dim, count), "result")  # gather_c3
        require_in_range(self.indices, source.shape[dim], "indices")  # gather_c4

    def reference(self, source: "np.ndarray", indices: "np.ndarray") -> "tuple[np.ndarray]":
        """The result, computed by NumPy."""
        import numpy as np

        return (np.take(source, indices, axis=self.dim.value),)


class ScatterOp(Operation, dialect=Ssft, name="scatter", traits=[ext.Pure]):
    """Replaces positions of a tensor along one dimension.

    `result` is `dest`, except that ``result[…, indices[j], …] = slice[…, j, …]`` with ``j`` in
    dimension `dim`. Indices that repeat have no meaning.

    Constraints:

    * (C1) `dest` is a ranked tensor with static dimensions, and `dim` is one of them.
    * (C2) `indices` is a ``tensor<kxi64>``; k may be 0.
    * (C3) `slice` has the type of `dest` with k elements along `dim`.
    * (C4) `result` has the type of `dest`.
    * (C5) If `indices` is a constant, its elements lie in ``[0, extent of dim)``.
    * (C6) If `indices` is a constant, its elements are distinct.

    Example::

        %r = "ssft.scatter"(%w, %i, %s) {dim = 0 : i64} : (tensor<8x6xf32>, tensor<2xi64>, tensor<2x6xf32>) -> tensor<8x6xf32>
    """  # noqa: E501 (an operation's type does not break)

    dest: ext.Operand[Any]
    indices: ext.Operand[Any]
    slice: ext.Operand[Any]
    dim: ir.IntegerAttr
    result: ext.Result[Any]

    @classmethod
    def build(
        cls,
        dest: ir.Value,
        indices: ir.Value,
        slice: ir.Value,
        dim: int,
        *,
        loc: Any = None,
        ip: Any = None,
    ) -> "ScatterOp":
        """Writes `slice` to positions `indices` of dimension `dim` of `dest`."""
        attributes = {"dim": i64(dim, dest.type.context)}
        return cls.create([dest.type], [dest, indices, slice], attributes, loc=loc, ip=ip)

    def check(self) -> None:
        """Checks C1 to C6."""
        dest = static_tensor(self.dest, "dest")  # scatter_c1
        dim = dimension(self.dim, dest, "dest")  # scatter_c1
        count = index_list(self.indices, "indices")  # scatter_c2
        require_type(self.slice.type, with_dimension(dest, dim, count), "slice")  # scatter_c3
        require_type(self.result.type, dest, "result")  # scatter_c4
        require_in_range(self.indices, dest.shape[dim], "indices")  # scatter_c5
        require_distinct(self.indices, "indices")  # scatter_c6

    def reference(
        self, dest: "np.ndarray", indices: "np.ndarray", slice: "np.ndarray"
    ) -> "tuple[np.ndarray]":
        """The result, computed by NumPy."""
        import numpy as np

        result = dest.copy()
        np.moveaxis(result, self.dim.value, 0)[indices] = np.moveaxis(slice, self.dim.value, 0)
        return (result,)


class ScatterAddOp(Operation, dialect=Ssft, name="scatter_add", traits=[ext.Pure]):
    """Adds to positions of a tensor along one dimension; the gradient of an embedding.

    `result` is `dest` plus ``updates[…, j, …]`` at ``[…, indices[j], …]`` for each ``j`` of
    dimension `dim`, one after the other: an index that repeats is added to repeatedly.

    Constraints:

    * (C1) `dest` is a ranked tensor with static dimensions, and `dim` is one of them.
    * (C2) `indices` is a ``tensor<nxi64>``; n may be 0.
    * (C3) `updates` has the type of `dest` with n elements along `dim`.
    * (C4) `result` has the type of `dest`.
    * (C5) If `indices` is a constant, its elements lie in ``[0, extent of dim)``.
    * (C6) The elements are integers or floating-point numbers.

    Example::

        %g = "ssft.scatter_add"(%zero, %tokens, %dy) {dim = 0 : i64} : (tensor<100x8xf32>, tensor<4xi64>, tensor<4x8xf32>) -> tensor<100x8xf32>
    """  # noqa: E501 (an operation's type does not break)

    dest: ext.Operand[Any]
    indices: ext.Operand[Any]
    updates: ext.Operand[Any]
    dim: ir.IntegerAttr
    result: ext.Result[Any]

    @classmethod
    def build(
        cls,
        dest: ir.Value,
        indices: ir.Value,
        updates: ir.Value,
        dim: int,
        *,
        loc: Any = None,
        ip: Any = None,
    ) -> "ScatterAddOp":
        """Adds `updates` to positions `indices` of dimension `dim` of `dest`."""
        attributes = {"dim": i64(dim, dest.type.context)}
        return cls.create([dest.type], [dest, indices, updates], attributes, loc=loc, ip=ip)

    def check(self) -> None:
        """Checks C1 to C6."""
        dest = static_tensor(self.dest, "dest")  # scatter_add_c1
        dim = dimension(self.dim, dest, "dest")  # scatter_add_c1
        count = index_list(self.indices, "indices")  # scatter_add_c2
        require_type(
            self.updates.type, with_dimension(dest, dim, count), "updates"
        )  # scatter_add_c3
        require_type(self.result.type, dest, "result")  # scatter_add_c4
        require_in_range(self.indices, dest.shape[dim], "indices")  # scatter_add_c5
        numeric = isinstance(dest.element_type, ir.IntegerType | ir.FloatType)
        require(numeric, f"'dest' must hold numbers, not {dest.element_type}")  # scatter_add_c6

    def reference(
        self, dest: "np.ndarray", indices: "np.ndarray", updates: "np.ndarray"
    ) -> "tuple[np.ndarray]":
        """The result, computed by NumPy, in the order of `indices`."""
        import numpy as np

        result = dest.copy()
        np.add.at(
            np.moveaxis(result, self.dim.value, 0), indices, np.moveaxis(updates, self.dim.value, 0)
        )
        return (result,)


class SaveSliceOp(Operation, dialect=Ssft, name="save_slice", traits=[ext.Pure]):
    """Copies consecutive positions of a tensor along one dimension.

    ``result[…, j, …] = source[…, offset + j, …]`` for ``0 <= j < size`` in dimension `dim`. The
    result is materialised, not a view: it is what is kept for the backward pass, so that the
    memory of `source` may be reused in between.

    Constraints:

    * (C1) `source` is a ranked tensor with static dimensions, and `dim` is one of them.
    * (C2) ``0 <= offset``, ``0 <= size`` and ``offset + size <= extent of dim``.
    * (C3) `result` has the type of `source` with `size` elements along `dim`.

    Example::

        %s = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 0 : i64, size = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x2xf32>
    """  # noqa: E501 (an operation's type does not break)

    source: ext.Operand[Any]
    dim: ir.IntegerAttr
    offset: ir.IntegerAttr
    size: ir.IntegerAttr
    result: ext.Result[Any]

    @classmethod
    def build(
        cls, source: ir.Value, dim: int, offset: int, size: int, *, loc: Any = None, ip: Any = None
    ) -> "SaveSliceOp":
        """Copies `size` positions from `offset` on along dimension `dim` of `source`."""
        type_ = with_dimension(source.type, dim, size)
        named = {"dim": dim, "offset": offset, "size": size}
        attributes = {name: i64(value, type_.context) for name, value in named.items()}
        return cls.create([type_], [source], attributes, loc=loc, ip=ip)

    def check(self) -> None:
        """Checks C1 to C3."""
        source = static_tensor(self.source, "source")  # save_slice_c1
        dim = dimension(self.dim, source, "source")  # save_slice_c1
        offset, size, extent = self.offset.value, self.size.value, source.shape[dim]
        require(  # save_slice_c2
            offset >= 0 and size >= 0 and offset + size <= extent,
            f"slice of {size} from {offset} on does not fit dimension {dim}, "
            f"which has {extent} elements",
        )
        require_type(self.result.type, with_dimension(source, dim, size), "result")  # save_slice_c3

    def reference(self, source: "np.ndarray") -> "tuple[np.ndarray]":
        """The result, computed by NumPy."""
        import numpy as np

        offset, size = self.offset.value, self.size.value
        positions = np.arange(offset, offset + size)
        return (np.take(source, positions, axis=self.dim.value),)
