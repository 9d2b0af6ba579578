"""What the results of a compilation depend on, as hashes."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features")


def digest(*parts: str) -> str:
    """The SHA-256 of a list of texts, in hex; no two lists have the same concatenation."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


@cache
def host() -> str:
    """This machine's processor, as LLVM and the operating system see it.

    Both, because they know of different features: code made for one that a processor lacks kills
    the process.
    """
    from llvmlite import binding

    lines = [
        binding.get_process_triple(),
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
    ]
    try:
        with open("/proc/cpuinfo") as stream:
            first = stream.read(16384).partition("\n\n")[0]  # processors differ only by number
        entries = [line.partition(":") for line in first.splitlines()]
        lines += [value.strip() for name, _, value in entries if name.strip() in _PROCESSOR]
    except OSError:
        pass
    return "\n".join(lines)


def processors() -> int:
    """How many processors this process may run on: some kernels are split for so many threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def toolchain() -> str:
    """The versions of what makes machine code."""
    return f"torch-mlir {version('torch-mlir')}"


@cache
def sources() -> str:
    """A hash of this compiler's own code: whatever a developer changes, nothing stale is found."""
    state = hashlib.sha256()
    for package in ("ssft.compiler", "ssft.dialects"):
        spec = find_spec(package)
        for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
            for path in sorted(folder.rglob("*.py")):
                data = path.read_bytes()
                name = f"{package} {path.relative_to(folder)} {len(data)}\n"
                state.update(name.encode() + data)
    return state.hexdigest()
