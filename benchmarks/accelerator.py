"""How long SSFT-Hw's tools take, and how well its schedules use a machine.

For a Llama of 4 layers, hidden size 256: seconds to schedule a step, to time it, and to execute it
on the functional machine. For it and every example, on every preset: the step over the busiest
unit's own time, and the tensor unit's utilisation. The same for single matrix products, whose
ceiling is the utilisation that no schedule can exceed: a product with a low one is not limited by
the tensor unit. Seconds are of this machine; cycles are not.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from models import SIZES, make_batch, make_model
from rich.console import Console
from rich.table import Table

from ssft.compiler import Recipe, compile, compile_file
from ssft.compiler.backends.hw import compile_program
from ssft.compiler.backends.hw.tiles.bound import fewest_cycles
from ssft.hwmodel.config import Machine, load_machine, preset_names
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate
from ssft.runtime import Session

PRODUCT = """
#a = affine_map<(m, n, k) -> ({a})>
#b = affine_map<(m, n, k) -> ({b})>
#c = affine_map<(m, n, k) -> (m, n)>
#d = affine_map<(m, n) -> (m, n)>
module attributes {{ssft.version = 1 : i64}} {{
  func.func @step(%a: tensor<{n}x{n}xf32> {{ssft.role = "frozen", ssft.name = "a"}},
                  %b: tensor<{n}x{n}xf32> {{ssft.role = "frozen", ssft.name = "b"}})
      -> (tensor<{n}x{n}x{c}> {{ssft.role = "loss"}}) {{
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<{n}x{n}xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<{n}x{n}xf32>) -> tensor<{n}x{n}xf32>
    %c = linalg.matmul indexing_maps = [#a, #b, #c]
        ins(%a, %b : tensor<{n}x{n}xf32>, tensor<{n}x{n}xf32>)
        outs(%start : tensor<{n}x{n}xf32>) -> tensor<{n}x{n}xf32>
    {rest}
  }}
}}
"""

RETURNS = {
    "f32": "return %c : tensor<{n}x{n}xf32>",
    "bf16": """%half = tensor.empty() : tensor<{n}x{n}xbf16>
    %d = linalg.generic {{indexing_maps = [#d, #d], iterator_types = ["parallel", "parallel"]}}
        ins(%c : tensor<{n}x{n}xf32>) outs(%half : tensor<{n}x{n}xbf16>) {{
    ^bb0(%sum: f32, %old: bf16):
      %low = arith.truncf %sum : f32 to bf16
      linalg.yield %low : bf16
    }} -> tensor<{n}x{n}xbf16>
    return %d : tensor<{n}x{n}xbf16>""",
}
"""Results as they are summed, and as a model in half precision rounds them."""

LAYOUTS = {
    "x @ w.T": ("m, k", "n, k"),
    "x @ w": ("m, k", "k, n"),
    "x.T @ y": ("k, m", "k, n"),
    "x.T @ y.T": ("k, m", "n, k"),
}
"""How the factors of a product lie: as those of a linear layer, of its two gradients, and else."""

EXAMPLES = Path(__file__).parent.parent / "examples"
EXTENTS = (1024, 2048, 4096, 8192)
EXAMPLE_COLUMNS = (
    *("example", "machine", "cycles", "busiest unit", "next / busiest", "step / busiest"),
    *("step / closed form", "tensor use"),
)
STEP_COLUMNS = (
    *("recipe", "machine", "commands", "schedule s", "timing s", "cycles"),
    *("busiest unit", "next / busiest", "step / busiest", "step / closed form", "SPM / bound"),
)
PRODUCT_COLUMNS = (
    *("n", "product", "result", "machine", "commands", "cycles", "busiest unit", "step / busiest"),
    *("tensor use", "ceiling"),
)


def measure(plan_text: str, machine: Machine) -> dict[str, Any]:
    """Seconds to schedule and to time a plan, and what the timing says."""
    start = perf_counter()
    program = compile_program(plan_text, machine)
    scheduled = perf_counter()
    simulation = simulate(program, machine)
    timed = perf_counter()
    found = report(simulation)
    closed = found["closed_form"]
    return {
        "schedule_seconds": scheduled - start,
        "timing_seconds": timed - scheduled,
        "commands": sum(len(queue) for queue in program.queues.values()),
        "cycles": found["cycles"],
        "joules": found["energy_joules"],
        "busiest_unit": closed["busiest_unit"],
        "next_over_busiest": closed["next_unit_cycles"] / closed["busiest_unit_cycles"],
        "over_closed_form": closed["simulated_over_closed_form"],
        "over_busiest_unit": closed["simulated_over_busiest_unit"],
        "tensor_utilisation": found["utilisation"]["tensor"],
        "spm_bytes": program.spm_bytes,
        "spm_lower_bound": program.spm_lower_bound,
    }


def functional_seconds(plan: Path, device: str) -> list[float]:
    """Seconds of two steps on the functional machine; the first one compiles its kernels."""
    session = Session(plan, device=device)
    batch = {name: tensor.numpy() for name, tensor in make_batch(SIZES["S"]).items()}
    times = []
    for _ in range(2):
        start = perf_counter()
        loss = session.step(batch)
        times.append(perf_counter() - start)
        assert np.isfinite(loss)
    return times


def steps(figures: dict[str, Any], directory: Path) -> Table:
    """A Llama's step: seconds to schedule it, to time it and to execute it, and its quality."""
    shown = Table(*STEP_COLUMNS, title="4 layers, hidden 256")
    for recipe in (Recipe("s2ft", ratio=0.05), Recipe("full")):
        plan = compile(make_model(SIZES["S"]), make_batch(SIZES["S"]), recipe=recipe)
        path = directory / f"llama_{recipe.method}.mlir"
        plan.save(path)
        for name in preset_names():
            found = measure(path.read_text(), load_machine(name))
            figures[f"{recipe.method} {name}"] = found
            shown.add_row(
                *(recipe.method, name, str(found["commands"])),
                *(f"{found['schedule_seconds']:.2f}", f"{found['timing_seconds']:.2f}"),
                *(f"{found['cycles']:,}", found["busiest_unit"]),
                *(f"{found['next_over_busiest']:.2f}", f"{found['over_busiest_unit']:.2f}"),
                f"{found['over_closed_form']:.2f}",
                f"{found['spm_bytes'] / found['spm_lower_bound']:.3f}",
            )
        seconds = functional_seconds(path, "ssft-hw:ssft-server")
        figures[f"{recipe.method} functional seconds"] = seconds
        print(f"{recipe.method}: functional step {seconds[0]:.2f} s, then {seconds[1]:.2f} s")
    return shown


def examples(figures: dict[str, Any]) -> Table:
    """Schedule quality of every example, compiled for S2FT."""
    found = Table(*EXAMPLE_COLUMNS, title="examples, s2ft")
    for path in sorted([*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/model.py")]):
        plan = compile_file(path, Recipe("s2ft")).text()
        name = path.stem if path.stem != "model" else path.parent.name
        for preset in preset_names():
            step = measure(plan, load_machine(preset))
            figures[f"{name} {preset}"] = step
            found.add_row(
                *(name, preset, f"{step['cycles']:,}", step["busiest_unit"]),
                *(f"{step['next_over_busiest']:.2f}", f"{step['over_busiest_unit']:.2f}"),
                *(f"{step['over_closed_form']:.2f}", f"{step['tensor_utilisation']:.1%}"),
            )
    return found


def products(figures: dict[str, Any]) -> Table:
    """Schedule quality of single products of bf16 factors in DRAM."""
    found = Table(*PRODUCT_COLUMNS, title="n x n x n products, operands in DRAM")
    kinds = product(preset_names(), LAYOUTS.items(), RETURNS.items(), EXTENTS)
    for name, (layout, (a, b)), (c, rest), n in kinds:
        machine = load_machine(name)
        step = measure(PRODUCT.format(n=n, a=a, b=b, c=c, rest=rest.format(n=n)), machine)
        fewest = fewest_cycles(machine, n**3, 2 * 2 * n * n, ELEMENT_BYTES[c] * n * n)
        step["ceiling"] = n**3 / machine.peak_macs_per_cycle / fewest
        figures[f"{n} {layout} {c} {name}"] = step
        found.add_row(
            *(str(n), layout, c, name, str(step["commands"]), f"{step['cycles']:,}"),
            *(step["busiest_unit"], f"{step['over_busiest_unit']:.3f}"),
            *(f"{step['tensor_utilisation']:.1%}", f"{step['ceiling']:.1%}"),
        )
    return found


def main() -> int:
    """Measures and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path("."), help="where plans are put")
    parser.add_argument("--products", action="store_true", help="only the matrix products")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    figures: dict[str, Any] = {"steps": {}, "examples": {}, "products": {}}
    if not options.products:
        console.print(steps(figures["steps"], options.directory))
        console.print(examples(figures["examples"]))
    console.print(products(figures["products"]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
