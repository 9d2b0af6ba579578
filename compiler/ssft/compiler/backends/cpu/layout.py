"""Static memory layouts of memref types."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ssft.compiler.plan_schema import item_bytes
from ssft.dialects._mlir import ir

_DYNAMIC = ir.ShapedType.get_dynamic_stride_or_offset()


@dataclass(frozen=True)
class Layout:
    """A strided array: `shape`, `strides` and `offset` count elements of type `dtype`."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: str

    @property
    def byte_offset(self) -> int:
        """Distance in bytes of the first element from the start of the buffer."""
        return self.offset * self.item

    @property
    def item(self) -> int:
        """Bytes per element."""
        return 8 if self.dtype == "index" else item_bytes(self.dtype)

    @property
    def span(self) -> int:
        """Bytes from the first to past the last element (0 if there are none)."""
        if 0 in self.shape:
            return 0
        last = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        return (last + 1) * self.item

    @property
    def contiguous(self) -> bool:
        """Whether the elements are row-major without gaps."""
        return self.span == math.prod(self.shape) * self.item and self.strides == tuple(
            math.prod(self.shape[i + 1 :]) for i in range(len(self.shape))
        )

    def type_text(self) -> str:
        """The memref type of this array when its own first element is the start of the buffer."""
        dimensions = "".join(f"{n}x" for n in self.shape)
        if self.contiguous:
            return f"memref<{dimensions}{self.dtype}>"
        return f"memref<{dimensions}{self.dtype}, strided<{list(self.strides)}>>"


def layout_of(type_: ir.Type) -> Layout | None:
    """The layout of a memref type; None if any of it is known only at run time."""
    memref = ir.MemRefType(type_)
    if not memref.has_static_shape:
        return None
    strides, offset = memref.get_strides_and_offset()
    if offset == _DYNAMIC or _DYNAMIC in strides:
        return None
    return Layout(tuple(memref.shape), tuple(strides), offset, str(memref.element_type))


def row_major(shape: tuple[int, ...], dtype: str) -> Layout:
    """The layout of a row-major array without gaps."""
    strides = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    return Layout(shape, strides, 0, dtype)
