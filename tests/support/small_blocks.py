"""Makes the CPU backend cut even small steps into blocks, and counts what it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from ssft.compiler.backends.cpu import compile as cpu_compile
from ssft.compiler.backends.cpu.pipeline import tensor_stages
from ssft.compiler.passes._rows import block_loops
from ssft.compiler.passes.cpu_fuse_rows import CpuFuseRowsPass
from ssft.compiler.passes.cpu_recompute_products import CpuRecomputeProductsPass


@dataclass
class Blocks:
    """What was compiled: for each loop over blocks whether products sum over rows, and the mask."""

    sums: list[bool] = field(default_factory=list)
    masks: list[Any] = field(default_factory=list)

    @property
    def masked(self) -> int:
        """How many loops leave out what a mask hides."""
        return sum(mask is not None for mask in self.masks)


@contextmanager
def small_blocks(
    cache: Path, rows: int = 7, columns: int = 8, again: bool = True
) -> Iterator[Blocks]:
    """Blocks of `rows` rows and chunks of `columns`; arrays are computed again if `again`.

    What is compiled goes into a cache of its own in the folder `cache`: nothing in its key tells
    such programs from others.
    """
    changed = {
        CpuFuseRowsPass: {"products": 1, "block_rows": rows, "block_columns": columns},
        CpuRecomputeProductsPass: {"least": 1 if again else 0},
    }
    stages = tuple(
        replace(stage, **changed[type(stage)]) if type(stage) in changed else stage
        for stage in tensor_stages(blocked=True)
    )
    found = Blocks()
    find_mask = block_loops.find_mask

    def spy(blocks: Any) -> Any:
        mask = find_mask(blocks)
        found.sums.append(blocks.sums)
        found.masks.append(mask)
        return mask

    with (
        mock.patch.object(cpu_compile, "tensor_stages", lambda blocked: stages),
        mock.patch.object(block_loops, "find_mask", spy),
        mock.patch.dict("os.environ", SSFT_CACHE_DIR=str(cache)),
    ):
        yield found
