"""``ssft-hw experiment``: masks (E8), layout (E9) and density (E10)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory, write_text
from ssft.compiler.tools.console import Progress
from ssft.runtime.tools.hw.inputs import Stage, machine_of
from ssft.runtime.tools.hw.text import console, percent, si, table

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine
    from ssft.hwmodel.experiments import Study

DENSITY = 0.05
"""Where masks and layouts are judged if nothing else is said."""
PLOTS = (".svg", ".html")


def run(parsed: argparse.Namespace) -> int:
    """Runs an experiment; exits with 1 if what was expected was not seen."""
    for path in (parsed.json, parsed.plot):
        check_directory(path)
    if parsed.plot and not parsed.plot.endswith(PLOTS):
        raise UserError(
            f"cannot plot to '{parsed.plot}'",
            notes=[f"the name ends in {' or '.join(PLOTS)}"],
            exit_code=2,
        )
    machine = machine_of(parsed)
    with Progress(parsed.progress) as progress:
        study = _study(parsed, machine, progress.stage)
    if parsed.plot:
        from ssft.hwmodel.experiments.plot import chart_svg, study_html

        html = parsed.plot.endswith(".html")
        write_text(parsed.plot, study_html(study) if html else chart_svg(study.chart))
    text = json.dumps(study.to_json(), indent=1) + "\n"
    if parsed.json == "-":
        print(text, end="")
    elif parsed.json:
        write_text(parsed.json, text)
    if parsed.json != "-" and not parsed.quiet:
        _show(study)
    return 0 if all(e.seen for e in study.expectations) else 1


def _study(parsed: argparse.Namespace, machine: Machine, stage: Stage) -> Study:
    from ssft.hwmodel import experiments

    densities = _densities(parsed)
    given: dict[str, Any] = {"progress": stage} | ({"densities": densities} if densities else {})
    judged = {} if parsed.density is None else {"judged": parsed.density}
    if parsed.model:
        if parsed.experiment != "density":
            raise UserError(
                f"--model cannot be used with '{parsed.experiment}'",
                notes=["the compiler makes neither unstructured masks nor row-major columns; "
                       "the experiment runs a linear layer"],
                exit_code=2,
            )  # fmt: skip
        subject = f"{parsed.model}, {parsed.recipe}, machine {machine.name}"
        measure = _compiled(parsed, machine, stage)
        return experiments.density_study(measure, subject, **given, **judged)
    usual = experiments.LinearLayer.suited_to(machine)
    layer = experiments.LinearLayer(
        parsed.tokens or usual.tokens,
        parsed.outputs or usual.outputs,
        parsed.inputs or usual.inputs,
    )
    if parsed.experiment == "density":
        return experiments.layer_density_study(layer, machine, **given, **judged)
    study = experiments.masks_study if parsed.experiment == "masks" else experiments.layout_study
    return study(layer, machine, density=parsed.density or DENSITY, **given)


def _densities(parsed: argparse.Namespace) -> list[float]:
    try:
        found = [float(text) for text in (parsed.densities or "").split(",") if text.strip()]
    except ValueError:
        raise UserError(
            f"cannot read the densities '{parsed.densities}'",
            notes=["write --densities 0.01,0.05,0.2"],
            exit_code=2,
        ) from None
    for value in (*found, *([] if parsed.density is None else [parsed.density])):
        if not 0 < value <= 1:
            raise UserError(f"the density {value:g} is not more than 0 and at most 1", exit_code=2)
    return found


def _compiled(
    parsed: argparse.Namespace, machine: Machine, stage: Stage
) -> Callable[[float], dict[str, Any]]:
    """Compiles the model at each density, and times the plan."""
    from ssft.compiler.api import compile_file
    from ssft.compiler.backends.hw import compile_program
    from ssft.compiler.recipes import Recipe
    from ssft.hwmodel.report import report
    from ssft.hwmodel.timing.events import simulate

    def measure(density: float) -> dict[str, Any]:
        settings = {"method": parsed.recipe, "ratio": density, "seed": 0}
        plan = compile_file(parsed.model, Recipe.parse(settings), abstract=True)
        return report(simulate(compile_program(plan.text(), machine), machine))

    return measure


def _show(study: Study) -> None:
    out = console()
    out.print(f"[bold]{study.name}[/]: {escape(study.title)}")
    out.print(escape(study.subject))
    rows = [[_cell(row[c.key], c.unit) for c in study.columns] for row in study.rows]
    out.print(table("", [c.heading for c in study.columns], rows))
    for text in (*study.denominators, *study.notes):
        out.print(f"  - {escape(text)}", style="dim")
    for expectation in study.expectations:
        verdict = "[green]seen[/]" if expectation.seen else "[bold red]NOT SEEN[/]"
        out.print(f"{verdict}: expected {escape(expectation.expected)}; "
                  f"found {escape(expectation.found)}")  # fmt: skip


def _cell(value: Any, unit: str) -> str:
    if unit == "text":
        return escape(str(value).replace("_", " "))
    if unit == "%":
        return percent(value)
    if unit == "x":
        return f"{value:.2f}"
    return si(value, "" if unit == "MAC" else unit)
