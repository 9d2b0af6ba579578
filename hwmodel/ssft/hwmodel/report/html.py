"""One self-contained page about a run: timeline, roofline, energy, traffic, memory, constants.

The page loads nothing: styles, scripts and data are in it. Its data are the report itself and what
drawing needs beside it (`html_data`), as JSON in elements of their own.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jinja2

from ssft.hwmodel.report.html_data import memory_map, provenance, timeline
from ssft.hwmodel.report.report import report as make_report
from ssft.hwmodel.timing.events import Simulation

REPORT, TIMELINE, MEMORY, CONSTANTS = "report", "timeline", "memory", "constants"
"""Names of the elements that hold the page's data."""


def render(simulation: Simulation, report: dict[str, Any] | None = None) -> str:
    """The page; `report` is the run's report if there is one already.

    Raises ValueError if the report holds something that JSON cannot.
    """
    found = make_report(simulation) if report is None else report
    data = {
        REPORT: found,
        TIMELINE: timeline(simulation),
        MEMORY: memory_map(simulation),
        CONSTANTS: provenance(simulation.machine),
    }
    return _template().render(
        title=f"{found.get('source', {}).get('file', 'program')} on {found['machine']['name']}",
        data={name: _embedded(part) for name, part in data.items()},
    )


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("ssft.hwmodel.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.globals["inline"] = lambda name: loader.get_source(environment, name)[0]
    return environment.get_template("report.html.j2")


def _embedded(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
