"""Figures of benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLORS = {"eager": "#8c8c8c", "torch.compile": "#4878a8", "plan": "#c44e52"}


def step_chart(result: dict[str, Any], path: Path) -> None:
    """Step time and memory of each contender over dense eager, as bars, to `path`.

    Whiskers go from the 10 % to the 90 % quantile.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    contenders = result["contenders"]
    names = list(contenders)[::-1]
    base = next(iter(contenders.values()))
    measures = [("median", "step time")]
    if all("memory" in figures for figures in contenders.values()):
        measures.append(("memory", "peak memory over imports"))
    figure, axes = pyplot.subplots(
        1, len(measures), figsize=(5 * len(measures), 0.45 * len(names) + 1.3), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axis, (key, title) in zip(axes[0], measures, strict=True):
        values = [contenders[name][key] / base[key] for name in names]
        colors = [COLORS[name.split(",")[0]] for name in names]
        spread = None
        if key == "median":
            spread = [
                [(contenders[n]["median"] - contenders[n]["p10"]) / base[key] for n in names],
                [(contenders[n]["p90"] - contenders[n]["median"]) / base[key] for n in names],
            ]
        axis.barh(names, values, color=colors, xerr=spread, error_kw={"ecolor": "#404040"})
        for row, value in enumerate(values):
            axis.text(value + 0.04, row + 0.22, f"{value:.2f}", va="center", fontsize=8)
        axis.axvline(1, color="#404040", linewidth=0.8, linestyle=":")
        axis.set_xlabel(f"{title}, dense eager = 1")
        axis.set_xlim(0, 1.15 * max(1, *values))
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"one training step, size {result['size']}, {result['threads']} threads, "
        f"{result['processor']}",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
