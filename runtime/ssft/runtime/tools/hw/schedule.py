"""``ssft-hw schedule``: the commands, tiles and memory map that the compiler chose."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ssft.compiler.files import check_directory, write_bytes, write_text
from ssft.compiler.tools.console import Progress
from ssft.runtime.tools.hw.inputs import Loaded, load_program
from ssft.runtime.tools.hw.text import (
    bar,
    binary,
    console,
    interval,
    percent,
    shortened,
    si,
    table,
)

if TYPE_CHECKING:
    from ssft.hwmodel.isa import Program

MOST_WARNINGS = 8
"""More are only counted."""


def run(parsed: argparse.Namespace) -> int:
    """Schedules a plan and shows the result; writes program and assembly if asked to."""
    for path in (parsed.output, parsed.asm):
        check_directory(path)
    with Progress(parsed.progress) as progress:
        loaded = load_program(parsed.input, parsed, progress.stage)
        if parsed.output:
            from ssft.hwmodel.isa.encoding import encode

            progress.stage(f"writing {parsed.output}")
            write_bytes(parsed.output, encode(loaded.program))
        if parsed.asm:
            from ssft.hwmodel.isa.assembly import to_text

            progress.stage(f"writing {parsed.asm}")
            write_text(parsed.asm, to_text(loaded.program))
    if not parsed.quiet:
        show(loaded, parsed.top)
    warn(loaded, Console(stderr=True, highlight=False))
    return 0


def show(loaded: Loaded, top: int) -> None:
    """Prints command counts, tiles and memory maps; `top` rows of each, 0 for all."""
    out, program, machine = console(), loaded.program, loaded.machine
    out.print(
        f"[bold]{escape(loaded.name)}[/] on [bold]{escape(machine.name)}[/] "
        f"({program.precision} products): {sum(map(len, program.queues.values())):,} commands, "
        f"{len(program.operations)} operations"
    )
    _commands(out, program)
    _tiles(out, loaded, top)
    _scratchpad(out, loaded, top)
    _dram(out, loaded)


def _commands(out: Console, program: Program) -> None:
    counts = {
        queue: Counter(c.MNEMONIC for c in commands) for queue, commands in program.queues.items()
    }
    mnemonics = sorted({name for count in counts.values() for name in count})
    rows = [
        (name, *(f"{count[name]:,}" if count[name] else "" for count in counts.values()))
        for name in mnemonics
    ]
    rows.append(("total", *(f"{sum(count.values()):,}" for count in counts.values())))
    headings = ("command", *(queue.name.lower() for queue in counts))
    out.print(table("commands by queue", headings, rows))


def _tiles(out: Console, loaded: Loaded, top: int) -> None:
    from ssft.runtime.tools.hw.tiles import tilings

    found = tilings(loaded.program, loaded.machine)
    peak = loaded.machine.peak_macs_per_cycle
    shown = sorted(found, key=lambda t: -t.cycles * len(t.names))[: top or None]
    rows = []
    for tiling in sorted(shown, key=found.index):
        more = f"  (x {len(tiling.names)})" if len(tiling.names) > 1 else ""
        batch, m, n, k = tiling.tile
        rows.append(
            (
                escape(shortened(tiling.names[0]) + more),
                tiling.phase.replace("_", " "),
                si(tiling.macs),
                f"{tiling.commands}",
                (f"{batch} x " if batch > 1 else "") + f"{m} x {n} x {k}",
                f"{tiling.lane_tile[0]} x {tiling.lane_tile[1]}",
                f"{tiling.sums}" if tiling.sums > 1 else "",
                "list" if tiling.gathered else "",
                f"{tiling.cycles:,}",
                percent(tiling.macs / (tiling.cycles * peak) if tiling.cycles else 0.0),
            )
        )
    headings = ("contraction", "<phase", "~MACs", "tiles", "tile m x n x k", "~lane tile",
                "~k parts", "~<rows by", "cycles", "of peak")  # fmt: skip
    out.print(table("tiles of contractions (equal ones together)", headings, rows))
    _rest(out, len(found) - len(rows), "contractions take less time")


def _scratchpad(out: Console, loaded: Loaded, top: int) -> None:
    program, capacity = loaded.program, loaded.machine.scratchpad.bytes
    bound, used = program.spm_lower_bound, program.spm_bytes
    out.print(
        f"scratchpad: {binary(used)} used of {binary(capacity)}; no placement needs less than "
        f"{binary(bound)} ({percent(bound / used if used else 1.0)} of what is used)"
    )
    slots = sorted(program.spm, key=lambda slot: -slot.bytes)[: top or None]
    operations = 1 + max((slot.last for slot in program.spm), default=0)
    rows = [
        (
            f"{slot.address:#010x}",
            binary(slot.bytes),
            f"{slot.buffers}" if slot.buffers > 1 else "",
            f"{slot.first}-{slot.last}",
            interval(slot.first, slot.last, operations),
            escape(shortened(slot.name)),
        )
        for slot in sorted(slots, key=lambda slot: (slot.address, slot.first))
    ]
    headings = ("address", "bytes", "~buffers", "live", f"<operations 0-{operations - 1}", "<slot")
    out.print(table("scratchpad slots, the largest", headings, rows))
    _rest(out, len(program.spm) - len(rows), "slots are smaller")


def _dram(out: Console, loaded: Loaded) -> None:
    program, capacity = loaded.program, loaded.machine.dram.bytes
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for buffer in program.dram:
        sizes[buffer.purpose] += buffer.bytes
        counts[buffer.purpose] += 1
    total = sum(sizes.values())
    rows = [
        (purpose, f"{counts[purpose]}", binary(size), bar(size / total if total else 0.0))
        for purpose, size in sizes.most_common()
    ]
    out.print(
        f"DRAM: {binary(program.dram_bytes)} used of {binary(capacity)} "
        f"({percent(program.dram_bytes / capacity)})"
    )
    out.print(table("DRAM buffers by purpose", ("purpose", "buffers", "bytes", "<"), rows))


def warn(loaded: Loaded, errors: Console) -> None:
    """Warns of what is legal and slow."""
    from ssft.runtime.tools.hw.tiles import column_transfers

    found = column_transfers(loaded.program, loaded.machine)
    for entry in found[:MOST_WARNINGS]:
        where = f"{entry.location}: " if entry.location else "ssft-hw: "
        does = "gathers columns element by element"
        if not entry.gathers:
            does = "moves few columns of rows"
        errors.print(
            f"{escape(where)}[bold magenta]warning:[/] '{escape(entry.name)}' {does}: "
            f"{binary(entry.moved)} move for {binary(entry.useful)} "
            f"({entry.moved / max(entry.useful, 1):.1f} times), in {entry.commands} commands",
            soft_wrap=True,
        )
    if len(found) > MOST_WARNINGS:
        errors.print(
            f"ssft-hw: note: {len(found) - MOST_WARNINGS} more operations move columns",
            soft_wrap=True,
        )


def _rest(out: Console, number: int, text: str) -> None:
    if number > 0:
        out.print(f"{number} more {text}; --top 0 shows all")
