"""The command line of ``ssft-cost``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ssft.compiler.cost_model.activations import IMPLEMENTATIONS
from ssft.compiler.cost_model.methods import METHODS
from ssft.compiler.cost_model.parallel.layout import PLACEMENTS, SCHEDULES
from ssft.compiler.cost_model.parallel.sweep import SETTINGS
from ssft.compiler.diagnostics import UserError
from ssft.compiler.tools.cost_stream import add_arguments

EXAMPLES = """\
examples:
  ssft-cost published
  ssft-cost published s2ft-fig5
  ssft-cost model llama-2-7b --method s2ft --ratio 0.05 --batch 1 --length 512
  ssft-cost model --config config.json --method lora --rank 32 --targets q,k,v,up,down
  ssft-cost parallel llama-2-7b --method s2ft --data 8 --zero 1 --tensor 2 --pipeline 2 \\
      --batch 4 --link nvlink=300e9:8,ib=25e9
  ssft-cost parallel --plan plan.mlir --sweep data=1,2,4,8 --sweep zero=0,1,2,3
  ssft-cost stream plan.mlir --memory-budget 8GB --host 32GB --ssd 2TB --plot schedule.png
  ssft-cost model llama-3-8b --method sparselora --feed-forward-sparsity 3-30=0.99 \\
      --attention-sparsity 14-19,21-23,25-29=0.75 --context-share 0.75 --dense-steps 0.05

Nothing is run, loaded or downloaded. docs/costs.md has the formulas.
"""


def parser() -> argparse.ArgumentParser:
    """The parser; the namespace's `command` names one of its commands."""
    made = argparse.ArgumentParser(
        prog="ssft-cost",
        description="Costs of fine-tuning from shapes alone, and published figures reproduced.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = made.add_subparsers(title="commands", dest="command", required=True)
    _published(commands)
    listing = commands.add_parser("models", help="list the models that are known by name")
    _json(listing)
    _model(commands)
    _parallel(commands)
    _stream(commands)
    return made


def _published(commands: Any) -> None:
    text = "print published tables beside the same figures computed; without a name, list them"
    made = commands.add_parser("published", help=text, description=text, allow_abbrev=False)
    made.add_argument("table", nargs="?", metavar="TABLE", help="a table's name, or 'all'")
    _json(made)


def _model(commands: Any) -> None:
    text = "print the costs of one configuration beside those of full fine-tuning"
    made = commands.add_parser("model", help=text, description=text, allow_abbrev=False)
    _what(made)
    _methods(made.add_argument_group("what trains"))
    _step(made.add_argument_group("the step"))
    _json(made)


def _what(made: Any) -> None:
    made.add_argument("model", nargs="?", metavar="MODEL", help="name of a model (see `models`)")
    made.add_argument("--config", metavar="FILE", help="config.json of a transformers model")
    made.add_argument("--method", choices=METHODS, default="full", help="default: full")


def _parallel(commands: Any) -> None:
    text = "print what each rank of a parallel step holds and sends"
    made = commands.add_parser("parallel", help=text, description=text, allow_abbrev=False)
    _what(made)
    made.add_argument("--model", dest="option", metavar="MODEL", help="the same as an option")
    made.add_argument(
        "--plan", metavar="FILE", help="a plan instead of a model, what trains and the step"
    )
    _layout(made.add_argument_group("the ranks"))
    _cluster(made.add_argument_group("links and speed"))
    _methods(made.add_argument_group("what trains"))
    _step(made.add_argument_group("the step of one replica"))
    output = made.add_argument_group("output")
    output.add_argument(
        "--sweep",
        action="append",
        metavar="NAME=N,…",
        help=f"a row for each value, and each combination if repeated: {', '.join(SETTINGS)}",
    )
    output.add_argument("--csv", metavar="FILE", help="write rows of comma-separated values")
    output.add_argument("--plot", metavar="FILE", help="draw the rows: .png, .svg or .pdf")
    _json(output)


def _stream(commands: Any) -> None:
    text = "schedule a plan's step on a device that is too small for it, from host and SSD"
    add_arguments(commands.add_parser("stream", help=text, description=text, allow_abbrev=False))


def _layout(group: Any) -> None:
    for name, what in (
        ("data", "replicas of the model"),
        ("tensor", "ranks that share each matrix"),
        ("pipeline", "stages that share the layers"),
    ):
        group.add_argument(
            f"--{name}", type=positive, default=1, metavar="N", help=f"{what} (default: 1)"
        )
    group.add_argument(
        "--zero",
        type=int,
        choices=(0, 1, 2, 3),
        default=0,
        help="shard over the replicas: 1 states, 2 gradients, too, 3 weights, too (default: 0)",
    )
    group.add_argument(
        "--sequence-parallel",
        action="store_true",
        help="tensor-parallel ranks share the tokens of norms and residuals, too",
    )
    group.add_argument(
        "--microbatches",
        type=positive,
        metavar="N",
        help="parts of a replica's batch (default: 1; in a pipeline, one sequence each)",
    )
    group.add_argument("--schedule", choices=SCHEDULES, default="1f1b", help="default: 1f1b")
    group.add_argument(
        "--placement",
        choices=PLACEMENTS,
        default="dealt",
        help="selected channels of a split axis: dealt out over the ranks, or in front",
    )


def _cluster(group: Any) -> None:
    group.add_argument(
        "--link",
        metavar="NAME=B[:N],…",
        help="bytes per second that a rank sends, and how many consecutive ranks are joined so: "
        "nvlink=300e9:8,ib=25e9",
    )
    group.add_argument("--flops", type=float, help="peak FLOP/s of a rank")
    group.add_argument(
        "--utilization", type=float, default=0.5, help="share of them that is reached (0.5)"
    )


def _methods(group: Any) -> None:
    group.add_argument(
        "--ratio", type=float, default=0.05, help="s2ft: share of the units of o and down (0.05)"
    )
    group.add_argument(
        "--ratios", type=ratios, metavar="NAME=R,…", help="s2ft: a ratio per projection, o=0.05"
    )
    group.add_argument(
        "--budget",
        choices=("layer", "global"),
        default="layer",
        help="s2ft: the ratio is of each layer's units, or of all layers' (default: layer)",
    )
    group.add_argument("--rank", type=positive, default=32, help="lora, dora, sparselora (32)")
    group.add_argument(
        "--targets",
        type=lambda text: tuple(text.split(",")),
        metavar="NAME,…",
        default=("q", "k", "v", "o"),
        help="lora, dora, sparselora: projections with adapters (default: q,k,v,o)",
    )
    group.add_argument("--density", type=float, default=0.05, help="sift: share of all (0.05)")
    for block in ("attention", "feed-forward"):
        group.add_argument(
            f"--{block}-sparsity",
            action="append",
            type=layers,
            metavar="LAYERS=S",
            help=f"sparselora: share of {block} channels left out, 17-19,21=0.5; repeatable",
        )
    group.add_argument(
        "--context-share", type=float, default=1.0, help="sparselora: share of sparse tokens (1)"
    )
    group.add_argument(
        "--dense-steps", type=float, default=0.0, help="sparselora: share of dense steps (0)"
    )


def _step(group: Any) -> None:
    group.add_argument("--batch", type=positive, default=1, help="sequences (default: 1)")
    group.add_argument("--length", type=positive, default=512, help="tokens of each (default: 512)")
    group.add_argument(
        "--implementation",
        choices=tuple(IMPLEMENTATIONS),
        default="eager",
        help="whose saved activations: eager PyTorch, a fused one, this compiler (default: eager)",
    )
    group.add_argument("--checkpointing", action="store_true", help="keep each layer's input only")
    group.add_argument(
        "--skip-masked",
        action="store_true",
        help="attention computes half of its scores, skipping what the causal mask hides",
    )
    group.add_argument(
        "--input-requires-grad",
        action="store_true",
        help="the first layer's input requires a gradient even if nothing below it trains",
    )
    for name, default in (("weight", 2), ("gradient", 2), ("moment", 2), ("adapter", 4)):
        group.add_argument(
            f"--{name}-bytes",
            type=positive,
            default=default,
            metavar="N",
            help=f"bytes of an element of {name}s (default: {default})",
        )
    group.add_argument(
        "--master-bytes",
        type=int,
        choices=(0, 4),
        default=0,
        help="bytes of an element of master copies of what trains (default: 0, none)",
    )


def _json(made: Any) -> None:
    made.add_argument("--json", metavar="FILE", help="write JSON ('-': to stdout, and no tables)")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def ratios(text: str) -> dict[str, float]:
    """``o=0.05,down=0.02`` as a mapping."""
    return dict(_assignment(part, "o=0.05,down=0.02") for part in text.split(","))


def layers(text: str) -> tuple[str, float]:
    """``17-19,21=0.5`` as a list of layers and a share."""
    return _assignment(text, "17-19,21=0.5")


def _assignment(text: str, example: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not like {example}") from None


def share(parsed: argparse.Namespace, name: str) -> float:
    """An option that is a share; UserError if it is not between 0 and 1."""
    value: float = getattr(parsed, name)
    if not 0 <= value <= 1:
        option = "--" + name.replace("_", "-")
        raise UserError(f"{option} {value} is not between 0 and 1", exit_code=2)
    return value


Command = Callable[[argparse.Namespace], int]
