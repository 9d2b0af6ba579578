"""Names of addresses: which DRAM buffer or scratchpad slot they are in."""

from __future__ import annotations

from ssft.hwmodel.isa import DramBuffer, Program


class Places:
    """The memory maps of a program, by address."""

    def __init__(self, program: Program) -> None:
        self._buffers = [buffer for buffer in program.dram if buffer.bytes]
        self._slots = program.spm

    def buffers(self, address: int) -> list[DramBuffer]:
        """The DRAM buffers that an address is in: more than one where they take turns."""
        return [b for b in self._buffers if b.address <= address < b.address + b.bytes]

    def describe(self, memory: str, address: int, tag: int) -> str:
        """``dram address 0x40 in buffer 'w' + 0x0``, for messages.

        Of the scratchpad slots that share an address, those that are live at operation `tag`.
        """
        text = f"{memory} address {address:#x}"
        if memory == "dram":
            offsets = [f"'{b.name}' + {address - b.address:#x}" for b in self.buffers(address)]
            return f"{text} in buffer {', '.join(offsets)}" if offsets else f"{text}, in no buffer"
        if memory == "row buffer":
            return text
        here = [s for s in self._slots if s.address <= address < s.address + s.bytes]
        names = [s for s in here if s.first <= tag <= s.last] or here
        slots = ", ".join(f"'{slot.name}' + {address - slot.address:#x}" for slot in names)
        return f"{text} in slot {slots}" if slots else f"{text}, in no slot"
