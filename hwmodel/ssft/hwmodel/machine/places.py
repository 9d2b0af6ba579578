"""Names of addresses: which DRAM buffer or scratchpad slot they are in."""

from __future__ import annotations

from bisect import bisect_right

from ssft.hwmodel.isa import DramBuffer, Program


class Places:
    """The memory maps of a program, by address."""

    def __init__(self, program: Program) -> None:
        self._buffers = sorted(
            (buffer for buffer in program.dram if buffer.bytes), key=lambda buffer: buffer.address
        )
        self._addresses = [buffer.address for buffer in self._buffers]
        self._slots = program.spm

    def buffer(self, address: int) -> DramBuffer | None:
        """The DRAM buffer that an address is in."""
        found = bisect_right(self._addresses, address) - 1
        if found < 0:
            return None
        buffer = self._buffers[found]
        return buffer if address < buffer.address + buffer.bytes else None

    def describe(self, memory: str, address: int, tag: int) -> str:
        """``dram address 0x40 in buffer 'w' + 0x0``, for messages.

        Of the scratchpad slots that share an address, those that are live at operation `tag`.
        """
        text = f"{memory} address {address:#x}"
        if memory == "dram":
            buffer = self.buffer(address)
            if buffer is None:
                return f"{text}, which is in no buffer"
            return f"{text} in buffer '{buffer.name}' + {address - buffer.address:#x}"
        if memory == "row buffer":
            return text
        here = [s for s in self._slots if s.address <= address < s.address + s.bytes]
        names = [s for s in here if s.first <= tag <= s.last] or here
        slots = ", ".join(f"'{slot.name}' + {address - slot.address:#x}" for slot in names)
        return f"{text} in slot {slots}" if slots else f"{text}, which is in no slot"
