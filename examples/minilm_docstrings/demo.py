"""Compiles MiniLM to train 5 % of its rows and columns, and compares each step with PyTorch.

What it runs is what a user would type; each command is printed first. Run it by `make demo`.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(os.path.relpath(Path(__file__).parent))
BUILD = Path("build")
STEPS = 20


def run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    print(f"\n$ {shlex.join(words)}", flush=True)
    status = subprocess.run(words, check=False).returncode
    if status:
        sys.exit(status)


def summary(report: dict) -> str:
    """What the report says about the compiled step, beside dense fine-tuning of the same graph."""
    dense = report["dense"]

    def total(of: dict) -> int:
        return sum(of["flops"].values())

    rows = [
        ("trained parameters", report["trainable_parameters"], report["total_parameters"]),
        ("floating-point operations a step", total(report), total(dense)),
        ("peak memory, bytes", report["memory_bytes"]["peak"], dense["memory_bytes"]["peak"]),
    ]
    lines = [f"{'':34}{'this plan':>16}{'dense':>16}{'ratio':>8}"]
    lines += [f"{name:34}{ours:>16,}{all_:>16,}{ours / all_:>8.3f}" for name, ours, all_ in rows]
    return "\n".join(lines)


def main() -> None:
    BUILD.mkdir(exist_ok=True)
    plan, report = BUILD / "plan.mlir", BUILD / "report.json"
    # The head is new, so all of it trains.
    masks = ["--recipe", "s2ft", "--ratio", "0.05", "--train", "classifier.*"]
    run("ssftc", HERE / "model.py", "-o", plan, *masks, "--report", report)
    print(summary(json.loads(report.read_text())))
    data = ["--data", HERE / "data.py", "--steps", str(STEPS)]
    run("ssft-run", plan, *data, "--compare-to=torch")


if __name__ == "__main__":
    main()
