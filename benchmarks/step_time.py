"""One training step: PyTorch eager, torch.compile, LoRA (peft), hand-written S2FT, and our plans.

All contenders train the same model on the same batch with the same clipping and run in turn in one
process, so that what else the machine does hits all alike. Before that, each runs alone in two
processes with an empty cache and then with what the first has cached: these give the time to the
first step and the memory. Prints a table of medians with 10 % and 90 % quantiles; every ratio is
over the first contender, dense eager; below it are those over the rivals that do the same job.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

WARM_UP = 3
RIVALS = (
    ("plan, S2FT", "torch.compile, S2FT by hand"),
    ("plan, S2FT", "torch.compile, LoRA r16"),
    ("plan, LoRA r16", "torch.compile, LoRA r16"),
    ("plan, dense", "torch.compile, dense"),
)
"""Plans, and what users would take instead."""
HERE = Path(__file__).parent


def main() -> int:
    """Measures, prints, and writes what was asked for."""
    options = _arguments()
    if options.alone:
        print(json.dumps(run_alone(options)))
        return 0
    with tempfile.TemporaryDirectory() as directory:
        options.directory = Path(directory)
        os.environ |= _caches(options.directory)
        result = measure(options)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        from plots import step_chart

        step_chart(result, options.plot)
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures of all contenders."""
    import torch
    from contenders import names as contenders
    from contenders import plan_kind, plan_path, write_plan
    from models import SIZES, sized

    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision(options.precision)
    size = sized(options.size, options.dtype, options.length)
    first, *others = contenders(options.dtype)
    names = [first, *(name for name in others if re.search(options.only, name))]
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name in names:
        _say(f"{name}: alone")
        if plan_kind(name):
            found[name] |= write_plan(name, size, plan_path(name, options.directory))
        if not options.quick:
            cold, warm = (_alone(name, options) for _ in range(2))
            found[name] |= {
                "first_step_cold": cold["first_step"],
                "first_step_warm": warm["first_step"],
                "memory": warm["memory"],
            }
    for name, figures in _interleaved(names, options).items():
        found[name] |= figures
    for figures in found.values():
        for key in ("median", "memory"):
            if key in figures:
                figures[f"{key}_ratio"] = figures[key] / found[names[0]][key]
    rivals = {
        f"{plan} / {rival}": found[plan]["median"] / found[rival]["median"]
        for plan, rival in RIVALS
        if plan in found and rival in found
    }
    return {
        "size": options.size,
        "length": options.length or SIZES[options.size].length,
        "threads": options.threads,
        "precision": options.precision,
        "dtype": options.dtype,
        "cpu_time": options.cpu_time,
        "device": options.device,
        "rounds": options.rounds,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "contenders": found,
        "rivals": rivals,
    }


def _interleaved(names: list[str], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Times all contenders in turn; the quantiles are of `options.rounds` rounds."""
    from contenders import make_step
    from models import sized

    size = sized(options.size, options.dtype, options.length)
    clock = process_time if options.cpu_time else perf_counter
    steps = {}
    for name in names:
        _say(f"{name}: warming up")
        steps[name] = make_step(name, size, options.directory, options.device)
        for _ in range(WARM_UP):
            steps[name].run()
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.rounds):
        _say(f"round {number + 1} of {options.rounds}")
        for name, step in steps.items():
            start = clock()
            step.run()
            times[name].append(clock() - start)
    phases: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(1 + options.rounds // 2):
        _say(f"phases, round {number} of {options.rounds // 2}")
        for name, step in steps.items():
            found = step.phases()
            if number:  # the first round warms up
                phases[name].append(found)
    return {
        name: {
            "median": statistics.median(values),
            "p10": statistics.quantiles(values, n=10, method="inclusive")[0],
            "p90": statistics.quantiles(values, n=10, method="inclusive")[-1],
            "phases": {
                phase: statistics.median(entry[phase] for entry in phases[name])
                for phase in (phases[name][0] if phases[name] else ())
            },
        }
        for name, values in times.items()
    }


def run_alone(options: argparse.Namespace) -> dict[str, float]:
    """Time to the first step and peak memory of one contender; both over the imports' own."""
    name = options.alone
    from contenders import make_step, plan_kind
    from models import sized

    if plan_kind(name):
        import numpy  # noqa: F401

        from ssft.runtime import Session  # noqa: F401
    import torch

    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision(options.precision)
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))  # libraries' own start
    before = _memory("VmRSS")
    start = perf_counter()
    size = sized(options.size, options.dtype, options.length)
    step = make_step(name, size, options.directory, options.device)
    step.run()
    first = perf_counter() - start
    for _ in range(WARM_UP):
        step.run()
    return {"first_step": first, "memory": float(_memory("VmHWM") - before)}


def _alone(name: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--alone", name, "--size", options.size]
    command += ["--threads", str(options.threads), "--directory", str(options.directory)]
    command += ["--precision", options.precision, "--device", options.device]
    command += ["--dtype", options.dtype, "--length", str(options.length)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{name} failed alone:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _caches(directory: Path) -> Mapping[str, str]:
    """Where compilers keep what they made: empty to begin with."""
    return {
        "SSFT_CACHE_DIR": str(directory / "ssft"),
        "TORCHINDUCTOR_CACHE_DIR": str(directory / "inductor"),
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONWARNINGS": "ignore",
    }


def _memory(key: str) -> int:
    """Bytes of a line of this process' status."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"size {result['size']}, {result['threads']} threads, {result['rounds']} rounds, "
        f"weights in {result['dtype']}, products in {result['precision']} precision, "
        f"{'CPU' if result['cpu_time'] else 'wall'} time; {result['processor']}, "
        f"torch {result['torch']}",
        title_justify="left",
    )
    columns = ("step ms", "10-90 %", "ratio", "forward", "backward", "update", "MiB", "ratio",
               "first step s: cold", "warm")  # fmt: skip
    table.add_column("contender")
    for column in columns:
        table.add_column(column, justify="right")
    for name, figures in result["contenders"].items():
        phases = figures["phases"]
        table.add_row(
            *(name, f"{1e3 * figures['median']:.1f}"),
            f"{1e3 * figures['p10']:.1f}-{1e3 * figures['p90']:.1f}",
            f"{figures['median_ratio']:.2f}",
            *(f"{1e3 * phases[phase]:.1f}" if phase in phases else ""
              for phase in ("forward", "backward", "update")),
            _number(figures, "memory", "{:.0f}", 2**-20),
            _number(figures, "memory_ratio", "{:.2f}"),
            *(_number(figures, key, "{:.2f}") for key in ("first_step_cold", "first_step_warm")),
        )  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    console.print(table)
    for name, ratio in result["rivals"].items():
        console.print(f"{name}: {ratio:.2f}")


def _number(figures: dict[str, Any], key: str, text: str, factor: float = 1) -> str:
    return text.format(factor * figures[key]) if key in figures else ""


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="S", help="T, S, M, GQA, long or MiniLM (default: S)")
    parser.add_argument("--length", type=int, default=0, metavar="TOKENS", help="of a sequence")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--precision",
        choices=["highest", "high", "medium"],
        default="highest",
        help="of f32 matrix products, PyTorch's and ours (default: highest)",
    )
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32", help="of the weights")
    parser.add_argument("--cpu-time", action="store_true", help="of all threads, for busy machines")
    parser.add_argument("--device", default="", help="of the plans (default: cpu at --precision)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", metavar="REGEX", help="contenders beside dense eager")
    parser.add_argument("--quick", action="store_true", help="neither memory nor first steps")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg|.png|.html")
    parser.add_argument("--alone", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    parsed.device = parsed.device or f"cpu:{parsed.precision}"
    return parsed


if __name__ == "__main__":
    sys.exit(main())
