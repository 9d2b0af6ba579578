"""Which provider and blocks are fastest for a product, measured on this host and remembered.

What is measured is a piece of the product, small enough to take a few milliseconds, on memory with
the product's strides. The decision is kept in the cache on disk by product, machine code, host and
number of threads, each in a file of its own: processes that tune at the same time do not meet.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np

from ssft.compiler.backends.cpu.cache import Store, keys
from ssft.compiler.backends.cpu.gemm import goto, standalone
from ssft.compiler.backends.cpu.gemm.emitted import default_blocks, oriented, takes
from ssft.compiler.backends.cpu.gemm.form import Product, Types
from ssft.compiler.backends.cpu.gemm.goto import Blocks
from ssft.compiler.backends.cpu.gemm.isa import ITEM, Isa

MEASURED = 1 << 21
"""Products of fewer multiply-adds are not worth measuring."""

PIECE = 1 << 27
"""Multiply-adds of the piece that is measured, at most."""

EVICTED = 8 << 20
"""Bytes that are read before each run: more than a processor's own caches hold."""

ROUNDS = 3
MARGIN = 0.97
"""What is not the default must take less than this part of the default's time."""

BLAS = "blas"
VERSION = "1"

Variant = Callable[[Blocks], Blocks]


VARIANTS: dict[str, Variant] = {
    "default": lambda blocks: blocks,
    "other a": lambda blocks: dataclasses.replace(blocks, direct_a=not blocks.direct_a),
    "other b": lambda blocks: dataclasses.replace(blocks, direct_b=not blocks.direct_b),
}
"""Changes of the default blocks, by name: whether operands are packed. All sum in one order."""


def blocks_of(variant: str, product: Product, isa: Isa) -> Blocks:
    """The blocks of an oriented product in the given variant."""
    return VARIANTS[variant](default_blocks(product, isa))


class Tuner:
    """Chooses for products on `isa` with `threads` threads; remembers in `store`, if given."""

    def __init__(self, isa: Isa, threads: int, store: Store | None) -> None:
        self.isa, self.threads, self.store = isa, threads, store
        self._code: dict[Types, standalone.AnyProduct] = {}
        self._found: dict[Product, str] = {}
        self._memory = np.zeros(0, np.uint8)

    def choose(self, product: Product) -> str:
        """A name in `VARIANTS`, or `BLAS`."""
        wanted = oriented(product) if takes(product, self.isa) else None
        if wanted is None:
            return BLAS
        if product.multiplications < MEASURED or wanted.types.operands != wanted.types.sums:
            return "default"  # nothing to choose from: operands must be packed
        if wanted not in self._found:
            found = self._read(wanted)
            if found is None:
                found = self._measure(wanted)
                self._write(wanted, found)
            self._found[wanted] = found
        return self._found[wanted]

    def _measure(self, product: Product) -> str:
        """The variant that takes the least time for a piece of `product`."""
        piece = _piece(product, self.isa)
        work = piece.multiplications
        threads = self.threads if work >= PIECE // 128 else 1
        repeats = max(1, PIECE // 8 // work)
        a, b, c = self._operands(piece, threads)
        contenders: dict[str, Callable[[], object]] = {}
        for name in VARIANTS:
            blocks = blocks_of(name, piece, self.isa)
            if not blocks.direct_b or piece.n.b == 1:
                contenders[name] = self._bind(piece, blocks, (a, b, c), threads, repeats)
        call = standalone.blas_call(piece, a, b, c) if work >= MEASURED else None
        if call is not None:
            contenders[BLAS] = lambda: [call() for _ in range(repeats)]
        return _fastest(contenders, thread_time if threads == 1 else perf_counter)

    def _bind(
        self,
        product: Product,
        blocks: Blocks,
        addresses: tuple[int, int, int],
        threads: int,
        repeats: int,
    ) -> Callable[[], None]:
        """`repeats` calls of the emitted code, the columns cut among threads."""
        types, item = product.types, ITEM[product.dtype]
        if types not in self._code:
            self._code[types] = standalone.AnyProduct(self.isa, types, store=self.store)
        a, b, c = addresses
        first, second = goto.workspace(self.isa, product, blocks)
        lanes = self.isa.lanes(types.sums)
        units = -(-product.n.size // lanes)
        calls = []
        for part in range(threads):
            start, end = (
                min(i * units // threads * lanes, product.n.size) for i in (part, part + 1)
            )
            panels = self._workspace + part * (first + second)
            calls.append(
                {
                    **goto.constants(product, blocks),
                    "n": end - start,
                    "a": a,
                    "b": b + start * product.n.b * item,
                    "c": c + start * item,
                    "panels_a": panels,
                    "panels_b": panels + first,
                }
            )
        return self._code[types].bind(calls, repeats)

    def _operands(self, product: Product, threads: int) -> tuple[int, int, int]:
        """Addresses of A, B and C; behind them is the workspace; all is filled with numbers."""
        axes = (product.m, product.n, product.k)
        spans = [sum((axis.size - 1) * getattr(axis, letter) for axis in axes) for letter in "abc"]
        space = [(span * ITEM[product.dtype] // 4096 + 2) * 4096 for span in spans]
        packed = dataclasses.replace(
            default_blocks(product, self.isa), direct_a=False, direct_b=False
        )
        needed = sum(space) + threads * sum(goto.workspace(self.isa, product, packed))
        needed += standalone.ALIGNMENT
        if len(self._memory) < needed:
            self._memory = np.empty(-(-2 * needed // 8) * 8, np.uint8)
            self._memory.view(np.float64)[:] = 2.0**-300
        start = -(-self._memory.ctypes.data // standalone.ALIGNMENT) * standalone.ALIGNMENT
        self._workspace = start + sum(space)
        return start, start + space[0], start + space[0] + space[1]

    def _name(self, product: Product) -> str:
        code = _code_digest(self.isa, product.types)
        return "gemm-" + keys.digest(VERSION, keys.host(), code, str(self.threads), repr(product))

    def _read(self, product: Product) -> str | None:
        """What was chosen before; None if nothing, or nothing that makes sense, is found."""
        data = self.store.read(self._name(product)) if self.store is not None else None
        try:
            found = json.loads(bytes(data))["variant"] if data is not None else None
        except (ValueError, KeyError, TypeError):
            return None
        return found if found in (*VARIANTS, BLAS) else None

    def _write(self, product: Product, variant: str) -> None:
        if self.store is not None:
            data = json.dumps({"product": repr(product), "variant": variant})
            self.store.write(self._name(product), [data.encode()])


def _fastest(contenders: dict[str, Callable[[], object]], clock: Callable[[], float]) -> str:
    """The name of the function whose fastest run is the shortest, by a margin."""
    others = np.ones(EVICTED // 8)
    times = dict.fromkeys(contenders, float("inf"))
    for number in range(ROUNDS):
        for name, run in contenders.items():
            others.sum()  # in a step, operands are seldom in the caches
            start = clock()
            run()
            if number:  # the first run meets cold caches and unmapped pages
                times[name] = min(times[name], clock() - start)
    best = min(times, key=lambda name: times[name])
    return best if times[best] < MARGIN * times["default"] else "default"


def _piece(product: Product, isa: Isa) -> Product:
    """One matrix of an oriented product, with fewer rows or columns if it is large."""
    k = dataclasses.replace(product.k, size=min(product.k.size, 1024))
    m = dataclasses.replace(product.m, size=min(product.m.size, 512))
    fitting = max(PIECE // (m.size * k.size), 2 * isa.columns(product.types.sums))
    n = dataclasses.replace(product.n, size=min(product.n.size, fitting))
    return dataclasses.replace(product, m=m, n=n, k=k, outer=())


@cache
def _code_digest(isa: Isa, types: Types) -> str:
    return keys.digest(*goto.functions(isa, types).values())


@cache
def tuner(isa: Isa, threads: int, store: tuple[str, int] | None) -> Tuner:
    """The tuner of this process; `store` is the folder and size of the cache on disk."""
    return Tuner(isa, threads, Store(Path(store[0]), store[1]) if store is not None else None)


__all__ = ["BLAS", "MEASURED", "VARIANTS", "Tuner", "blocks_of", "tuner"]
