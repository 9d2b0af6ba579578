"""Charts of studies as SVG, for files of their own and for pages that load nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from ssft.hwmodel.experiments.study import Chart, Series, Study

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 44, 52
COLOURS = ("#2f6fde", "#d9730d", "#2a9d62", "#b5439a", "#7a6ff0", "#8a8f98")
"""Told apart by people who do not see red and green alike, on light and on dark."""

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .tick { font-size: 12px; fill: #57606a }
  .grid { stroke: #d8dee4 } .axis { stroke: #57606a } .ground { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .tick { fill: #9aa4af }
    .grid { stroke: #30363d } .axis { stroke: #8b949e } .ground { fill: #0d1117 }
  }
"""

Scale = Callable[[float], float]


def chart_svg(chart: Chart) -> str:
    """The chart as an SVG document. Points carry their values as tooltips."""
    points = [point for series in chart.series for point in series.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x_ticks = ticks(min(xs), max(xs), chart.log_x)
    y_ticks = ticks(min([*ys, *([] if chart.log_y else [1.0])]), max(ys), chart.log_y)
    legend = 18 * len(chart.series)
    height = HEIGHT + legend
    x = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT, chart.log_x)
    y = _scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP, chart.log_y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(chart.title)}</text>',
        *_axes(chart, x, y, x_ticks, y_ticks),
    ]
    for number, series in enumerate(chart.series):
        colour = COLOURS[number % len(COLOURS)]
        parts += _line(series, x, y, colour)
        parts += _legend(series.name, colour, HEIGHT + 4 + 18 * number, series.dashed)
    return "\n".join([*parts, "</svg>"]) + "\n"


def study_html(study: Study) -> str:
    """A page with the chart, the expectations and what they were held against."""
    found = "".join(
        f"<li><b>{'seen' if e.seen else 'NOT SEEN'}</b>: expected {escape(e.expected)}; "
        f"found {escape(e.found)}</li>"
        for e in study.expectations
    )
    head = "".join(f"<th>{escape(c.heading)}</th>" for c in study.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(row[c.key], c.unit))}</td>" for c in study.columns)
        + "</tr>"
        for row in study.rows
    )  # fmt: skip
    notes = "".join(f"<li>{escape(text)}</li>" for text in (*study.denominators, *study.notes))
    title = escape(f"{study.name}: {study.title}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>"
        ":root{color-scheme:light dark}body{font:14px system-ui,sans-serif;margin:2em auto;"
        "max-width:60em;padding:0 1em}table{border-collapse:collapse}"
        "td,th{padding:.25em .7em;border-bottom:1px solid #8884;text-align:right}"
        "</style></head><body>"
        f"<h1>{title}</h1><p>{escape(study.subject)}</p>{chart_svg(study.chart)}"
        f"<h2>Expected and found</h2><ul>{found}</ul><h2>Figures</h2>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"
        "</body></html>\n"
    )


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round numbers that enclose an interval."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        every = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
        start = max(i for i, t in enumerate(every) if t <= low * (1 + 1e-9))
        stop = min((i for i, t in enumerate(every) if t >= high * (1 - 1e-9)),
                   default=len(every) - 1)  # fmt: skip
        return every[start : max(stop, start + 1) + 1]
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(span / s - 5))
    first = math.floor(low / step + 1e-9)
    return [step * i for i in range(first, math.ceil(high / step - 1e-9) + 1)]


def _cell(value: object, unit: str) -> str:
    if not isinstance(value, int | float):
        return str(value).replace("_", " ")
    return f"{100 * value:g} %" if unit == "%" else f"{value:.4g}"


def _scale(low: float, high: float, start: float, end: float, log: bool) -> Scale:
    def place(value: float) -> float:
        a, b, v = (math.log(n) if log else n for n in (low, high, value))
        return start + (end - start) * ((v - a) / (b - a) if b > a else 0.5)

    return place


def _axes(
    chart: Chart, x: Scale, y: Scale, x_ticks: Sequence[float], y_ticks: Sequence[float]
) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    points = sorted({point[0] for series in chart.series for point in series.points})
    for value in y_ticks:
        yield _segment("grid", LEFT, y(value), right, y(value))
        yield (f'<text class="tick" x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">'
               f"{value:.4g}</text>")  # fmt: skip
    for value in points if len(points) <= 12 else x_ticks:
        yield _segment("grid", x(value), TOP, x(value), bottom)
        yield (f'<text class="tick" x="{x(value):.1f}" y="{bottom + 18}" text-anchor="middle">'
               f"{100 * value:g} %</text>")  # fmt: skip
    yield _segment("axis", LEFT, bottom, right, bottom)
    yield _segment("axis", LEFT, TOP, LEFT, bottom)
    across, down = (LEFT + right) / 2, (TOP + bottom) / 2
    label = escape(chart.x_label)
    yield f'<text x="{across}" y="{bottom + 38}" text-anchor="middle">{label}</text>'
    yield (f'<text x="16" y="{down}" text-anchor="middle" transform="rotate(-90 16 {down})">'
           f"{escape(chart.y_label)}</text>")  # fmt: skip


def _segment(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _line(series: Series, x: Scale, y: Scale, colour: str) -> Iterator[str]:
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in series.points)
    dash = ' stroke-dasharray="6 5"' if series.dashed else ""
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    if series.dashed:
        return
    for a, b in series.points:
        label = escape(f"{series.name}: {b:.3g} at {100 * a:g} %")
        yield (f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="4" fill="{colour}">'
               f"<title>{label}</title></circle>")  # fmt: skip


def _legend(name: str, colour: str, top: float, dashed: bool) -> Iterator[str]:
    dash = ' stroke-dasharray="6 5"' if dashed else ""
    yield (f'<line x1="{LEFT}" x2="{LEFT + 28}" y1="{top}" y2="{top}" stroke="{colour}" '
           f'stroke-width="3"{dash}/>')  # fmt: skip
    yield f'<text x="{LEFT + 36}" y="{top + 4}">{escape(name)}</text>'
