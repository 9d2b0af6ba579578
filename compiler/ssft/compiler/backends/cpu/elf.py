"""The symbols that an ELF object file needs from elsewhere (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import struct

_SYMBOL_TABLE = 2  # sh_type SHT_SYMTAB
_UNDEFINED = 0  # st_shndx SHN_UNDEF


def undefined_symbols(data: bytes | memoryview) -> list[str]:
    """The names that the relocatable, 64-bit, little-endian object `data` uses but not defines.

    Raises ValueError if `data` is no such object.
    """
    if bytes(data[:6]) != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    try:
        (table,) = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + size * i) for i in range(count)]
        found = []
        for _, kind, _, _, offset, length, strings, _, _, entry in sections:
            if kind != _SYMBOL_TABLE:
                continue
            names = sections[strings][4]
            for at in range(offset, offset + length, entry):
                name, _, _, section = struct.unpack_from("<IBBH", data, at)
                if name and section == _UNDEFINED:
                    found.append(_string(data, names + name))
    except (struct.error, IndexError) as error:
        raise ValueError(f"a damaged ELF file: {error}") from error
    return found


def _string(data: bytes | memoryview, start: int) -> str:
    end = start
    while data[end]:
        end += 1
    return bytes(data[start:end]).decode()
