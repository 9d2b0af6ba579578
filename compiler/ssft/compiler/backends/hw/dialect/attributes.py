"""Values of a program's tables as MLIR attributes, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir

T = TypeVar("T")

_SIGNED_END, _UNSIGNED_END = 1 << 63, 1 << 64


class Attributes:
    """Makes attributes in a context; numbers, which repeat, are made once."""

    def __init__(self, context: ir.Context) -> None:
        self.i64 = ir.IntegerType.get_signless(64, context)
        self.ui64 = ir.IntegerType.get_unsigned(64, context)
        self.f64 = ir.F64Type.get(context)
        self.integers_made: dict[int, ir.IntegerAttr] = {}
        self.dtypes_made: dict[str, ir.TypeAttr] = {}

    def integer(self, value: int) -> ir.IntegerAttr:
        """An ``i64``. Raises `UserError` if it is too large for one."""
        made = self.integers_made.get(value)
        if made is None:
            if not -_SIGNED_END <= value < _SIGNED_END:
                raise UserError(
                    f"the program holds {value}, which does not fit 64 bits",
                    notes=["no field of the machine is that wide"],
                )
            made = self.integers_made[value] = ir.IntegerAttr.get(self.i64, value)
        return made

    def scalar(self, value: float) -> ir.Attribute:
        """A whole number as ``i64``, or ``ui64`` if it needs that, and a float as ``f64``."""
        if isinstance(value, float):
            return ir.FloatAttr.get(self.f64, value)
        if _SIGNED_END <= value < _UNSIGNED_END:
            # The binding takes signed numbers only; the bits are the same.
            return ir.IntegerAttr.get(self.ui64, value - _UNSIGNED_END)
        return self.integer(int(value))

    def string(self, value: str) -> ir.StringAttr:
        """A string. Raises `UserError` if UTF-8 cannot say it."""
        try:
            return ir.StringAttr.get(value.encode())
        except UnicodeEncodeError:
            raise UserError(
                f"the program holds {value!r}, which is not text",
                notes=["it has half of a pair of surrogates"],
            ) from None

    def immediate(self, value: float | str) -> ir.Attribute:
        """A number or a string."""
        return self.string(value) if isinstance(value, str) else self.scalar(value)

    def integers(self, values: Iterable[int]) -> ir.DenseI64ArrayAttr:
        """An ``array<i64>``. Raises `UserError` if a number is too large."""
        return ir.DenseI64ArrayAttr.get([self.integer(value).value for value in values])

    def dtype(self, name: str) -> ir.TypeAttr:
        """An element type."""
        if name not in self.dtypes_made:
            self.dtypes_made[name] = ir.TypeAttr.get(ir.Type.parse(name))
        return self.dtypes_made[name]

    def optional(
        self, make: Callable[[Any], ir.Attribute], **values: Any
    ) -> dict[str, ir.Attribute]:
        """Attributes of those values that are not None."""
        return {name: make(value) for name, value in values.items() if value is not None}


def optional(attributes: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> T | None:
    """What an attribute says, or None if it is not there."""
    return read(attributes[name]) if name in attributes else None


def value(attribute: Any) -> Any:
    """The number or string that an attribute is."""
    return attribute.value


def dtype(attribute: Any) -> Any:
    """The name of the element type that an attribute is."""
    return str(attribute.value)
