"""``cpu-fuse-rows``: run loop nests that hand values on row by row, one row after another.

A softmax, a norm, a rotary embedding or a cross-entropy is a handful of nests, each of which walks
through all of an array that is larger than the caches. Here nests that can share their outer loops
become the body of one loop over these *rows* (`ssft.compiler.passes._rows.groups` says when they
can). What one nest writes and only others of the same row read becomes a scratch array of one row.

The loops over rows are marked ``ssft.independent``: their iterations may run in any order and on
several threads. The number is that of the iterations of all loops inside.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis.step import find_step, terminator
from ssft.compiler.passes._rows.block_loops import PRODUCTS, BlockLoops
from ssft.compiler.passes._rows.blocks import Blocks, Limits, attach_products
from ssft.compiler.passes._rows.groups import Group, form_groups, in_order
from ssft.compiler.passes._rows.loops import INDEPENDENT, RowLoops
from ssft.compiler.passes._rows.nests import refine, tasks_of
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

__all__ = ["INDEPENDENT", "PRODUCTS", "CpuFuseRowsPass"]


@dataclass(frozen=True)
class CpuFuseRowsPass(Pass):
    """Groups the operations of the bufferized ``@step``, and makes one loop of each group."""

    argument: ClassVar[str] = "cpu-fuse-rows"

    scratch: int = field(
        default=512 << 10,
        metadata={"help": "bytes of scratch arrays that one loop may have on its thread's stack"},
    )
    products: int = field(
        default=1 << 20,
        metadata={
            "help": "bytes of arrays between rows and matrix products from which on both run block "
            "by block (0: never)"
        },
    )
    block_rows: int = field(default=128, metadata={"help": "most rows of a block"})
    block_columns: int = field(
        default=128, metadata={"help": "most columns that a mask leaves out at once"}
    )
    threads: int = field(
        default=0, metadata={"help": "parts that blocks are shared by (0: processors there are)"}
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``, whose operations are on memrefs with static layouts."""
        step = find_step(module)
        block = step.regions[0].blocks[0]
        tasks = tasks_of(block)
        if tasks is None:
            return
        refine(tasks)
        graph = form_groups(tasks)
        if self.products:
            limits = Limits(self.products, self.block_rows, self.block_columns)
            made = attach_products(graph, limits)
            context.statistics["loops over blocks"] += made
        groups = in_order(graph)
        if all(len(group.members) == 1 for group in groups):
            return
        end = terminator(step)
        _hoist(block, {task.op for task in tasks})
        with module.context:
            for group in groups:
                if len(group.members) == 1:
                    group.members[0].op.move_before(end)
                    continue
                with ir.InsertionPoint(end), end.location:
                    self._emit(group)
                context.statistics["loops over rows"] += 1
                context.statistics["nests fused"] += len(group.members)
        for group in groups:
            if len(group.members) > 1:
                for task in group.members:
                    task.op.erase()

    def _emit(self, group: Group) -> None:
        if isinstance(group, Blocks):
            BlockLoops(group, self.scratch, self.threads or _host_threads()).emit()
        else:
            RowLoops(group, self.scratch).emit()


def _host_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hoist(block: ir.Block, tasks: set[ir.Operation]) -> None:
    """Moves everything that only names memory in front of the first of `tasks`."""
    operations = [op.operation for op in block.operations]
    first = next(op for op in operations if op in tasks)
    for op in operations[:-1]:
        if op not in tasks:
            op.move_before(first)
