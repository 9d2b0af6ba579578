"""Instruction sets that matrix products are emitted for, and which of them this host has."""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ssft.compiler.diagnostics import UserError

ITEM = {"i16": 2, "bf16": 2, "f32": 4, "f64": 8}
"""Bytes per element of the types that the emitted product knows."""

# Linux, asm/prctl.h and asm/fpu/types.h
ARCH_PRCTL = 158
ARCH_REQ_XCOMP_PERM = 0x1023
XFEATURE_XTILEDATA = 18


@dataclass(frozen=True)
class Isa:
    """An instruction set with vectors of `vector` bytes.

    `cpu` is LLVM's name of a processor with this set and no more; `flags` are those of
    ``/proc/cpuinfo`` that it needs. The register tile has `rows` rows and `vectors` vectors per
    row: as many accumulators as registers allow that also hold one row of B and an element of A.
    """

    name: str
    vector: int
    rows: int
    cpu: str
    flags: frozenset[str]
    vectors: int = 3

    def lanes(self, dtype: str) -> int:
        """Elements per vector."""
        return self.vector // ITEM[dtype]

    def columns(self, dtype: str) -> int:
        """Columns of the register tile."""
        return self.vectors * self.lanes(dtype)

    @property
    def features(self) -> tuple[str, ...]:
        """What LLVM calls the flags, each with a plus sign."""
        # LLVM's names are the system's, but for dashes.
        names = (flag.replace("avx512_", "avx512").replace("_", "-") for flag in self.flags)
        return tuple(f"+{name}" for name in sorted(names))

    @property
    def attributes(self) -> str:
        """Function attributes that make LLVM use exactly this instruction set."""
        features = ", ".join(f'"{name}"' for name in self.features)
        return (
            f'no_inline, target_cpu = "{self.cpu}", '
            f"target_features = #llvm.target_features<[{features}]>"
        )


@dataclass(frozen=True)
class Amx(Isa):
    """Intel's matrix unit, for f32 operands split into `planes` bf16 numbers each."""

    planes: int = 1

    def lanes(self, dtype: str) -> int:
        """Columns of a block of C."""
        return self.rows


# Of 32 registers 8x3 hold the tile, 3 a row of B; of 16 registers 4x3 and 3.
AVX512 = Isa(
    "avx512",
    64,
    8,
    "x86-64-v4",
    frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "bmi2", "fma"}),
)
AVX2 = Isa("avx2", 32, 4, "x86-64-v3", frozenset({"avx2", "bmi2", "fma"}))
_UNIT = AVX512.flags | {"amx_tile", "amx_bf16", "avx512_bf16"}
AMX = Amx("amx", 64, 32, "x86-64-v4", _UNIT)
AMX_SPLIT = Amx("amx_split", 64, 32, "x86-64-v4", _UNIT, planes=2)
KNOWN = {isa.name: isa for isa in (AVX512, AVX2)}


@cache
def host_flags(path: str = "/proc/cpuinfo") -> frozenset[str]:
    """What the operating system says this processor can do; empty where it does not say."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return frozenset()
    return frozenset(_field("flags", path).split())


@cache
def host_model(path: str = "/proc/cpuinfo") -> str:
    """Vendor, family, model, stepping and name of this processor."""
    names = ("vendor_id", "cpu family", "model", "stepping", "model name")
    return " ".join(_field(name, path) for name in names) or platform.machine()


def _field(name: str, path: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    found = (line.split(":", 1)[1].strip() for line in lines if line.split("\t")[0] == name)
    return next(found, "")


def select(name: str = "auto", flags: frozenset[str] | None = None) -> Isa | None:
    """The instruction set called `name`, or the best that this host has.

    None if ``"auto"`` finds none. Raises `UserError` for one that is unknown or that the host
    lacks: its instructions would end the process.
    """
    present = host_flags() if flags is None else flags
    if name == "auto":
        return next((isa for isa in KNOWN.values() if isa.flags <= present), None)
    if name not in KNOWN:
        raise UserError(
            f"unknown instruction set '{name}' for matrix products",
            notes=[f"choose one of: auto, {', '.join(KNOWN)}"],
        )
    missing = sorted(KNOWN[name].flags - present)
    if missing:
        raise UserError(
            f"this processor cannot run code for '{name}': it lacks {', '.join(missing)}",
            notes=["compile with CpuOptions(isa='auto')"],
        )
    return KNOWN[name]


@cache
def matrix_unit(planes: int) -> Amx | None:
    """The matrix unit, if the processor has one and the system lets this process use it."""
    wanted = {isa.planes: isa for isa in (AMX, AMX_SPLIT)}[planes]
    return wanted if wanted.flags <= host_flags() and _permitted() else None


def _permitted() -> bool:
    """Asks for the unit's registers: Linux makes room for them only where they are wanted."""
    if platform.system() != "Linux":
        return False
    return ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0


def host_threads() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
