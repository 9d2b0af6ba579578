"""Elements in memory that are computed with in another type."""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm.isa import ITEM
from ssft.compiler.backends.cpu.gemm.text import Text


class Elements:
    """Reads and writes elements of type `stored`, `lanes` at a time, as numbers of type `computed`.

    In memory bf16 numbers are integers: of vectors of bf16 LLVM would make calls of a compiler's
    run-time library on processors that cannot convert them.
    """

    def __init__(self, text: Text, stored: str, computed: str, lanes: int) -> None:
        self.text, self.lanes = text, lanes
        self.stored, self.computed = stored, computed
        self.item = ITEM[stored]
        self.vector = f"vector<{lanes}x{computed}>"
        self._memory = "i16" if stored == "bf16" else stored
        self._memory_vector = f"vector<{lanes}x{self._memory}>"

    def load(self, place: str) -> str:
        """A vector."""
        return self._read(self.text.load(place, self._memory_vector, self.item), self.lanes)

    def masked_load(self, place: str, mask: str) -> str:
        """A vector with zeros where `mask` says no."""
        value = self.text.masked_load(place, mask, self._memory, self.lanes)
        return self._read(value, self.lanes)

    def load_one(self, place: str) -> str:
        """One number."""
        return self._read(self.text.load(place, self._memory, self.item), 0)

    def store(self, value: str, place: str) -> None:
        """Writes a vector."""
        self.text.store(self._written(value), place, self._memory_vector, self.item)

    def masked_store(self, value: str, place: str, mask: str) -> None:
        """Writes the lanes in `mask`."""
        self.text.masked_store(self._written(value), place, mask, self._memory, self.lanes)

    def _read(self, value: str, lanes: int) -> str:
        if self.stored == self.computed:
            return value
        memory, narrow, wide = (
            _type(element, lanes) for element in (self._memory, self.stored, self.computed)
        )
        value = self.text(f"arith.bitcast {value} : {memory} to {narrow}")
        return self.text(f"arith.extf {value} : {narrow} to {wide}")

    def _written(self, value: str) -> str:
        if self.stored == self.computed:
            return value
        narrow = _type(self.stored, self.lanes)
        value = self.text(f"arith.truncf {value} : {self.vector} to {narrow}")
        return self.text(f"arith.bitcast {value} : {narrow} to {self._memory_vector}")


def _type(element: str, lanes: int) -> str:
    return f"vector<{lanes}x{element}>" if lanes else element
