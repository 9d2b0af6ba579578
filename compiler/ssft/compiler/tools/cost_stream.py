"""``ssft-cost stream``: a step that is larger than the device's memory."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table as Grid

from ssft.compiler.byte_sizes import readable
from ssft.compiler.cost_model.streaming.machine import (
    UNITS,
    Machine,
    load_machine,
    preset_names,
    quantity,
)
from ssft.compiler.cost_model.streaming.schedule import share_of
from ssft.compiler.diagnostics import UserError
from ssft.compiler.tools.cost_output import console, sentences
from ssft.compiler.tools.cost_parallel_output import byte_unit

OPTIONS = {
    "memory_budget": ("device", "memory of the device that a step may take"),
    "host": ("host", "memory of the host for what is not on the device"),
    "ssd": ("ssd", "room on the SSD"),
    "to_device": ("to_device", "bandwidth from host to device"),
    "to_host": ("to_host", "bandwidth from device to host"),
    "ssd_read": ("ssd_read", "bandwidth of reading the SSD"),
    "ssd_write": ("ssd_write", "bandwidth of writing the SSD"),
    "compute": ("compute", "operations per second that the device reaches"),
    "host_update": ("host_update", "elements per second that the host's optimizer updates"),
}
"""Options by name: the constant of the machine that each sets, and what that is."""


def add_arguments(made: Any) -> None:
    """Adds the command's arguments to its parser."""
    made.add_argument("plan", metavar="PLAN", help="a plan, which may be abstract")
    made.add_argument(
        "--optimizer",
        choices=("device", "host"),
        default="device",
        help="where updates are computed; states stay there (default: device)",
    )
    made.add_argument(
        "--zeroth-order",
        action="store_true",
        help="the forward pass alone, twice, as MeZO and ZO2 do: what trains is changed in place",
    )
    machine = made.add_argument_group("the machine")
    machine.add_argument(
        "--machine",
        metavar="NAME",
        default="rtx4090-workstation",
        help=f"{', '.join(preset_names())}, or a TOML file (default: rtx4090-workstation)",
    )
    for name, (constant, what) in OPTIONS.items():
        example = "24GB" if UNITS[constant] == "B" else UNITS[constant]
        machine.add_argument(f"--{name.replace('_', '-')}", metavar=example, help=what)
    machine.add_argument(
        "--host-bandwidth", metavar="B/s", help="--to-device and --to-host at once"
    )
    machine.add_argument(
        "--ssd-bandwidth", metavar="B/s", help="--ssd-read and --ssd-write at once"
    )
    output = made.add_argument_group("output")
    output.add_argument("--plot", metavar="FILE", help="draw the schedule: .png, .svg or .pdf")
    output.add_argument("--json", metavar="FILE", help="write JSON ('-': to stdout, and no tables)")


def machine(parsed: argparse.Namespace) -> Machine:
    """The machine that the options describe."""
    both = {"host_bandwidth": ("to_device", "to_host"), "ssd_bandwidth": ("ssd_read", "ssd_write")}
    given: dict[str, float | None] = {}
    for name, constants in both.items():
        if (text := getattr(parsed, name)) is not None:
            given |= dict.fromkeys(constants, quantity(text, "B/s"))
    for name, (constant, _) in OPTIONS.items():
        if (text := getattr(parsed, name)) is not None:
            given[constant] = quantity(text, UNITS[constant])
    return load_machine(parsed.machine, given)


def report(parsed: argparse.Namespace) -> dict[str, Any]:
    """The report of the schedule that the options ask for."""
    from ssft.compiler.cost_model.streaming.plan import read_step
    from ssft.compiler.cost_model.streaming.report import stream_report
    from ssft.compiler.cost_model.streaming.search import stream
    from ssft.compiler.cost_model.streaming.step import on_host, zeroth_order

    if parsed.zeroth_order and parsed.optimizer == "host":
        raise UserError("a step without gradients has no optimizer to be on the host", exit_code=2)
    around = machine(parsed)
    step = read_step(Path(parsed.plan))
    if parsed.zeroth_order:
        step = zeroth_order(step)
    if parsed.optimizer == "host":
        step = on_host(step)
    made = stream_report(stream(step, around))
    return {**made, "optimizer": parsed.optimizer, "zeroth_order": parsed.zeroth_order}


_QUEUES = {
    "to_device": "host to device",
    "to_host": "device to host",
    "ssd_read": "read from SSD",
    "ssd_write": "written to SSD",
    "host_update": "updated on host",
}


def show(found: dict[str, Any], assumed: Iterable[str]) -> None:
    """Prints a report."""
    out = console()
    unit, size = byte_unit(10 * found["all_resident"]["peak_bytes"])
    out.print(f"[bold]{escape(found['name'])}[/], {escape(str(found['method']))}{_mode(found)}")
    figures = {
        key: f"{found[key] / size:,.2f}"
        for key in ("peak_bytes", "least_bytes", "host_bytes", "ssd_bytes")
    }
    resident = found["all_resident"]["peak_bytes"] / size
    out.print(
        f"device {figures['peak_bytes']} {unit} of "
        f"{readable(found['machine']['device'], decimal=True)} (at least "
        f"{figures['least_bytes']}; without streaming {resident:,.2f}), host "
        f"{figures['host_bytes']} {unit}, SSD {figures['ssd_bytes']} {unit}"
    )
    grid = Grid()
    for column in ("", *(f"{home}, {unit}" for home in ("on device", "host", "SSD"))):
        grid.add_column(column, justify="right")
    for kind, homes in found["tiers"].items():
        grid.add_row(kind, *(f"{homes[home] / size:,.3f}" for home in ("device", "host", "ssd")))
    out.print(grid)
    grid = Grid()
    for column in ("", "amount", "s", "busy"):
        grid.add_column(column, justify="right")
    grid.add_row(
        "computing",
        "",
        f"{found['compute_seconds']:,.4g}",
        f"{100 * share_of(found['compute_seconds'], found['seconds']):.1f} %",
    )
    for queue, name in _QUEUES.items():
        entry = found["queues"][queue]
        if entry["amount"]:
            what = unit if queue != "host_update" else f"{unit[0]} elements"
            amount = f"{entry['amount'] / size:,.2f} {what}"
            grid.add_row(name, amount, f"{entry['seconds']:,.4g}", f"{100 * entry['busy']:.1f} %")
    out.print(grid)
    _show_seconds(out, found)
    sentences(out, "assumed", assumed)


def _mode(found: dict[str, Any]) -> str:
    if found["zeroth_order"]:
        return ", two forward passes"
    return f", optimizer on the {found['optimizer']}"


def _show_seconds(out: Any, found: dict[str, Any]) -> None:
    seconds, bound = found["seconds"], found["lower_bound_seconds"]
    by = {"compute": "computing"} | _QUEUES
    out.print(
        f"step: [bold]{seconds:,.4g} s[/], bounded by: {by[found['bounded_by']]}; no schedule can "
        f"take less than {bound:,.4g} s ({100 * share_of(seconds - bound, bound):+.1f} %)"
    )
    nothing = found["keeping_nothing_seconds"]
    others = [
        ("all on the device", found["all_resident"]["seconds"]),
        ("without overlap", found["without_overlap_seconds"]),
        *([("keeping nothing", nothing)] if nothing else []),
    ]
    out.print("; ".join(f"{name}: {value:,.4g} s" for name, value in others))
    ahead = found["fetched_ahead"]
    if ahead["of_bytes"]:
        out.print(
            f"{100 * ahead['bytes'] / ahead['of_bytes']:.0f} % of what comes is asked for "
            f"{ahead['segments']:,.0f} segments ahead, of {len(found['segments']):,}"
        )


def assumptions() -> Iterator[str]:
    """What the figures assume, as sentences."""
    yield "the plan's operations run one after another; computing is matrix products and updates"
    yield "a link's directions do not slow each other down; latency is not counted"
    yield "the step begins with what stays on the device alone, and ends with the last write"
    yield "tensors move whole; from the SSD they pass a buffer of the host, two tensors each way"
