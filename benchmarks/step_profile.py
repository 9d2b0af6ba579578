"""Where the time of one training step goes: a compiled plan, kernel by kernel.

Each kernel is timed alone, on one thread, in CPU seconds, and its median over ``--rounds`` steps
is reported. *Moved* counts the bytes of all operands once: a lower bound of what has to come from
memory and go there. The last lines say which share of the step its matrix products take, and which
share they would need at the rate of the fastest of them: the rest is what other kernels and
products of awkward shapes cost. ``--unsplit`` lists the kernels that several threads do not share.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from contenders import PLANS, write_plan
from models import SIZES, make_batch, sized

from ssft.compiler.backends.cpu import CpuOptions, CpuProgram, compile_step
from ssft.runtime import Session

LARGE = 1 << 20
"""Bytes; products that move less are not asked how fast they could be."""


@dataclass(frozen=True)
class Row:
    """One kernel: `milliseconds` is the median of all its `calls` in a step together."""

    kernel: str
    what: str
    calls: int
    milliseconds: float
    megabytes: float
    gflop: float
    split: bool


def profile(program: CpuProgram, pointers: list[int], rounds: int) -> list[Row]:
    """Profiles `rounds` steps after two of warm-up; the kernel that takes longest comes first."""
    for _ in range(2):
        program.run(pointers)
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for entry in program.profile(pointers):
            times.setdefault(entry.kernel, []).append(entry.seconds)
    calls = Counter(call.kernel for call in program.schedule.calls)
    moved: Counter[str] = Counter()
    for call in program.schedule.calls:
        moved[call.kernel] += sum(operand.bytes for operand in call.operands)
    rows = []
    for name, seconds in times.items():
        kernel = program.schedule.kernels[name]
        rows.append(
            Row(
                kernel=name,
                what=describe(kernel.text) if not kernel.flops else "matrix product",
                calls=calls[name],
                milliseconds=1e3 * statistics.median(seconds),
                megabytes=moved[name] / 1e6,
                gflop=calls[name] * kernel.flops / 1e9,
                split=kernel.extent > 1,
            )
        )
    return sorted(rows, key=lambda row: -row.milliseconds)


def describe(text: str) -> str:
    """What the body of a kernel computes: its floating-point operations, and how many nests."""
    names = re.findall(r"(?:math\.(\w+)|arith\.(\w+f)) ", text)
    found = list(dict.fromkeys(a or b for a, b in names if (a or b) not in ("truncf", "extf")))
    nests = len(re.findall(r"linalg\.(?:generic|fill|copy) |memref\.copy ", text))
    return f"{' '.join(found) or 'copy'} ({nests} nests)" if nests > 1 else " ".join(found)


def peak(rows: list[Row]) -> float:
    """Gflop per second of the fastest large product."""
    rates = [1e3 * r.gflop / r.milliseconds for r in rows if r.gflop and r.megabytes * 1e6 >= LARGE]
    return max(rates, default=float("nan"))


def report(rows: list[Row], program: CpuProgram, lines: int, unsplit: bool) -> dict[str, float]:
    """Prints the table; returns the summary."""
    total = sum(row.milliseconds for row in rows)
    products = sum(row.milliseconds for row in rows if row.gflop)
    best = peak(rows)
    needed = 1e3 * sum(row.gflop for row in rows) / best
    print(f"{'kernel':>10} {'calls':>5} {'ms':>8} {'share':>6} {'MB':>8} {'GB/s':>6} {'GF/s':>6}")
    for row in rows[:lines]:
        rate = f"{1e3 * row.gflop / row.milliseconds:6.0f}" if row.gflop else " " * 6
        print(
            f"{row.kernel:>10} {row.calls:5} {row.milliseconds:8.2f} "
            f"{row.milliseconds / total:6.1%} {row.megabytes:8.1f} "
            f"{row.megabytes / row.milliseconds:6.1f} {rate}  {row.what[:60]}"
        )
    if unsplit:
        alone = [row for row in rows if not row.split]
        share = sum(row.milliseconds for row in alone) / total
        print(f"not split over threads by their caller: {share:.1%} of the step")
        for row in alone[:lines]:
            print(f"{row.kernel:>10} {row.milliseconds:8.2f} ms  {row.what[:60]}")
    summary = {
        "milliseconds": total,
        "products": products / total,
        "products_at_peak": needed / total,
        "peak_gflops": best,
        "arena_bytes": program.arena_bytes,
    }
    print(
        f"{total:.1f} ms; products {summary['products']:.1%} of it, "
        f"{summary['products_at_peak']:.1%} at the {best:.0f} Gflop/s of the fastest"
    )
    return summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="S")
    parser.add_argument("--length", type=int, default=0, metavar="TOKENS", help="of a sequence")
    parser.add_argument("--plan", choices=PLANS, default="plan, dense")
    parser.add_argument("--gemm", help="provider of matrix products", default=CpuOptions().gemm)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--lines", type=int, default=25)
    parser.add_argument("--unsplit", action="store_true")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    size = sized(parsed.size, length=parsed.length)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "plan.mlir"
        write_plan(parsed.plan, size, path)
        session = Session(path)
        program = compile_step(path.read_text(), CpuOptions(gemm=parsed.gemm))
    batch = {name: tensor.numpy() for name, tensor in make_batch(size).items()}
    pointers = session._pointers(batch, session._outputs)
    rows = profile(program, pointers, parsed.rounds)
    print(
        f"size {parsed.size}, {size.length} tokens, {parsed.plan}, one thread, "
        f"{parsed.rounds} rounds"
    )
    summary = report(rows, program, parsed.lines, parsed.unsplit)
    if parsed.json:
        result = {"size": parsed.size, "length": size.length, "plan": parsed.plan, **summary}
        result["kernels"] = [asdict(row) for row in rows]
        parsed.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
