"""The figures of all runs: mean and spread, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from rich.table import Table

MEASURES = {
    "test": "test accuracy",
    "retrieval": "retrieval after",
    "drift": "drift",
    "loss": "training loss",
}
Summary = dict[str, Any]


def summarise(records: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Summary:
    """Mean and sample standard deviation (None of one seed) of each measure, by method."""
    methods = {}
    for name in dict.fromkeys(record["method"] for record in records):
        runs = [record for record in records if record["method"] == name]
        methods[name] = {
            "label": labels[name],
            "trained": runs[0]["trained"],
            "rate": runs[0]["rate"],
            "seeds": len(runs),
            **{measure: _spread([run[measure] for run in runs]) for measure in MEASURES},
        }
    return {"retrieval_before": records[0]["retrieval_before"], "methods": methods}


def _spread(values: Sequence[float]) -> dict[str, Any]:
    deviation = round(stdev(values), 6) if len(values) > 1 else None
    return {"mean": round(mean(values), 6), "deviation": deviation, "values": list(values)}


def table(summary: Summary) -> Table:
    """What the plot shows, in figures."""
    title = f"retrieval before fine-tuning: {summary['retrieval_before']:.3f}"
    made = Table(title=title, title_justify="left")
    for heading in ("method", "trained", "seeds", "rate", *MEASURES.values()):
        made.add_column(heading, justify="left" if heading == "method" else "right")
    for method in summary["methods"].values():
        cells = [_text(method[measure]) for measure in MEASURES]
        trained, seeds = f"{method['trained']:,}", str(method["seeds"])
        made.add_row(method["label"], trained, seeds, f"{method['rate']:g}", *cells)
    return made


def _text(spread: Mapping[str, Any]) -> str:
    if spread["deviation"] is None:
        return f"{spread['mean']:.3f}"
    return f"{spread['mean']:.3f} ± {spread['deviation']:.3f}"


def draw(summary: Summary, path: Path) -> None:
    """Learned against forgotten: a cross a seed, a disc the mean."""
    plot, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.6), sharey=True)
    colours = plt.get_cmap("tab10")
    for number, method in enumerate(summary["methods"].values()):
        for axis, measure in ((left, "retrieval"), (right, "drift")):
            across, up = method[measure], method["test"]
            colour = colours(number)
            axis.plot(across["values"], up["values"], "x", color=colour, alpha=0.6)
            label = f"{method['label']} ({method['trained']:,}; {method['seeds']})"
            axis.errorbar(
                across["mean"],
                up["mean"],
                xerr=across["deviation"],
                yerr=up["deviation"],
                fmt="o",
                color=colour,
                capsize=2,
                label=label,
            )
    left.axvline(summary["retrieval_before"], color="grey", linestyle=":")
    left.annotate(
        "before", (summary["retrieval_before"], 0.02), xycoords=("data", "axes fraction"),
        rotation=90, color="grey", ha="right",
    )  # fmt: skip
    left.set_xlabel("retrieval after training (right: less forgotten)")
    left.set_ylabel("test accuracy on the task")
    right.set_xlabel("drift of embeddings (left: less forgotten)")
    right.set_xlim(left=-0.02)
    place = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
    right.legend(fontsize=8, title="trained weights; seeds", **place)
    plot.suptitle("MiniLM, six packages' docstrings: learned against forgotten")
    plot.tight_layout()
    plot.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(plot)
