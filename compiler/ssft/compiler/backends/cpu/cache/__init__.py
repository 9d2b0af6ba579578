"""What a compilation made, kept on disk by content hash.

`Store` is a folder of checked files, `records` writes plain dataclasses into them, `keys` says what
a result depends on, and `programs` puts compiled steps and machine code in and takes them out.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.cache.store import Store, open_store

__all__ = ["Store", "open_store"]
