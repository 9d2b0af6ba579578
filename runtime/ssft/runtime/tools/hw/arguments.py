"""The command line of ``ssft-hw``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Handler = Callable[[argparse.Namespace], int]

INPUT = "plan.mlir, or a program: of `schedule -o`, its assembly, or `ssftc --emit=hw`"
EXAMPLES = """\
examples:
  ssft-hw machines ssft-server
  ssft-hw schedule plan.mlir -o step.ssfthw --asm step.s
  ssft-hw simulate plan.mlir --html report.html --trace trace.json
  ssft-hw simulate plan.mlir --set dram.bandwidth=1TB/s
  ssft-hw compare full.mlir s2ft.mlir --machine ssft-a100area
  ssft-hw experiment density --machine ssft-a100area --plot density.svg

Train on the machine's functional model with `ssft-run plan.mlir --device ssft-hw:ssft-server`.
"""


def parser() -> argparse.ArgumentParser:
    """The parser; the namespace's `handler` names the module and function to call."""
    made = argparse.ArgumentParser(
        prog="ssft-hw",
        description="Schedule plans onto the accelerator model, time them, and look at them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_machines, _schedule, _simulate, _compare, _disasm, _asm, _experiment):
        add(commands)
    return made


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    handler: str,
    text: str,
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    made.set_defaults(handler=handler)
    return made


def _settings(made: argparse.ArgumentParser, *, machine: bool = True) -> None:
    if machine:
        made.add_argument(
            "--machine",
            "--config",
            metavar="NAME|FILE",
            help="preset or TOML file (default: ssft-server, or what the program is for)",
        )
    made.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="change a constant, with or without a unit: dram.bandwidth=1TB/s; repeatable",
    )


def _compiled(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--precision", choices=["bf16", "f32"], help="operands of products (default: bf16)"
    )
    made.add_argument(
        "--no-stitch",
        action="store_false",
        dest="stitch",
        help="tile, write and time repetitions one by one: slower, and the result is the same",
    )


def _shown(made: argparse.ArgumentParser) -> None:
    made.add_argument("-q", "--quiet", action="store_true", help="print errors and warnings only")
    made.add_argument("-v", "--verbose", action="store_true", help="print what is being done")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of rows, 0 or more")
    return int(text)


def _machines(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(commands, "machines", "machines:run",
                    "list the machines, or every constant of one with its source")  # fmt: skip
    made.add_argument("name", nargs="?", metavar="NAME|FILE", help="a preset or a TOML file")
    _settings(made, machine=False)
    made.add_argument("--json", action="store_true", help="the constants as JSON")
    made.add_argument("--toml", action="store_true", help="all of it as a file, to start one's own")


def _schedule(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(commands, "schedule", "schedule:run",
                    "schedule a plan: commands, tiles and memory map")  # fmt: skip
    made.add_argument("input", metavar="PLAN", help=INPUT)
    _settings(made)
    _compiled(made)
    made.add_argument("-o", "--output", metavar="FILE", help="write the program")
    made.add_argument("--asm", metavar="FILE", help="write it as annotated assembly")
    made.add_argument("--top", type=_count, default=24, metavar="N", help="rows of tables (0: all)")
    _shown(made)


def _simulate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(commands, "simulate", "simulation:run",
                    "time a plan or program: cycles, joules, and what they are due to")  # fmt: skip
    made.add_argument("input", metavar="PLAN|PROGRAM", help=INPUT)
    _settings(made)
    _compiled(made)
    made.add_argument("--tokens", type=int, metavar="N", help="of a step (default: of its inputs)")
    made.add_argument("--top", type=_count, default=12, metavar="N", help="rows of tables (0: all)")
    files = made.add_argument_group("files")
    files.add_argument("--json", metavar="FILE", help="everything, for programs ('-': stdout)")
    files.add_argument("--html", metavar="FILE", help="a page to look at; works offline")
    files.add_argument("--trace", metavar="FILE", help="for ui.perfetto.dev and chrome://tracing")
    files.add_argument("--csv", metavar="FILE", help="a table, one row per operation")
    files.add_argument(
        "--csv-rows",
        choices=["operations", "commands"],
        help="what a row of --csv is (default: operations)",
    )
    _shown(made)


def _compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(commands, "compare", "comparison:run",
                    "two plans, programs or saved reports, or one on two machines")  # fmt: skip
    made.add_argument("first", metavar="A", help="plan, program, or report of `simulate --json`")
    made.add_argument("second", metavar="B", nargs="?", help="the other one")
    made.add_argument(
        "--machine",
        "--config",
        action="append",
        dest="machines",
        metavar="NAME|FILE",
        help="of both, or once for each",
    )
    _settings(made, machine=False)
    _compiled(made)
    made.add_argument("--tokens", type=int, metavar="N", help="of a step (default: of its inputs)")
    made.add_argument("--json", metavar="FILE", help="the comparison as JSON ('-': stdout)")
    made.add_argument("--all", action="store_true", help="also figures that are 0 in both")
    _shown(made)
    made.set_defaults(machine=None)


def _disasm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(commands, "disasm", "assembly:disassemble",
                    "a program as assembly, each command with its source")  # fmt: skip
    made.add_argument("input", metavar="PROGRAM|PLAN", help=INPUT)
    _settings(made)
    _compiled(made)
    made.add_argument("-o", "--output", metavar="FILE", help="write it here, not to stdout")
    _shown(made)


def _asm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(commands, "asm", "assembly:assemble", "assembly as a program")
    made.add_argument("input", metavar="FILE.s", help="assembly, as `disasm` writes it")
    made.add_argument("-o", "--output", metavar="FILE", required=True, help="the program")
    _settings(made)
    made.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def _experiment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(
        commands,
        "experiment",
        "experiments:run",
        "what structured sparsity is worth; exits with 1 if it is not what was expected",
    )
    made.add_argument(
        "experiment",
        choices=["masks", "layout", "density"],
        help="masks: rows against unstructured (E8); layout: columns transposed against row-major "
        "(E9); density: speed-up as less trains (E10)",
    )
    _settings(made)
    layer = made.add_argument_group("the layer")
    for name, large, small in (
        *(("tokens", 16384, 2048), ("outputs", 4096, 1024)),
        ("inputs", 4096, 1024),
    ):
        default = f"(default: {large}; {small} if the machine has little scratchpad)"
        layer.add_argument(f"--{name}", type=int, help=default)
    made.add_argument(
        "--density",
        type=float,
        help="where to judge (default: 0.05; of a sweep, the lowest of --densities)",
    )
    made.add_argument("--densities", metavar="D,D,…", help="rows of the table")
    model = made.add_argument_group("a compiled model instead of the layer (density only)")
    model.add_argument("--model", metavar="FILE.py", help="compiled once for each density")
    model.add_argument("--recipe", default="rows", help="method, with --densities as its ratio")
    made.add_argument("--plot", metavar="FILE", help="the chart: .svg, or .html with the table")
    made.add_argument("--json", metavar="FILE", help="the figures ('-': stdout)")
    _shown(made)
