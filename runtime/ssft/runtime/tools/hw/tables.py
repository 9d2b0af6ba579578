"""A report as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from ssft.runtime.tools.hw.text import (
    bar,
    binary,
    console,
    percent,
    shortened,
    si,
    stacked,
    table,
)

Report = dict[str, Any]

GLYPHS = (("█", "green"), ("▓", "yellow"), ("▒", "red"), ("·", "dim"))
PARTS = ("busy", "wait_semaphore", "wait_memory", "idle")


def show(report: Report, top: int, *, notes: bool) -> None:
    """Prints everything; `top` rows of long tables, 0 for all."""
    out = console()
    _totals(out, report)
    _phases(out, report)
    _units(out, report)
    _operations(out, report, top)
    _traffic(out, report)
    _scratchpad(out, report)
    _counts(out, report)
    _updated(out, report, top)
    _energy(out, report)
    _critical(out, report, top)
    _closed_forms(out, report)
    if notes:
        out.print("[bold]what these figures leave out[/]")
        for text in report["limits"]:
            out.print(f"  - {escape(text)}", style="dim")


def _totals(out: Console, report: Report) -> None:
    machine, energy = report["machine"], report["energy"]
    source = report.get("source", {})
    out.print(
        f"[bold]{escape(str(source.get('file', 'program')))}[/] on "
        f"[bold]{escape(machine['name'])}[/] ({report['program']['precision']} products): "
        f"[bold]{report['cycles']:,} cycles[/] = [bold]{si(report['seconds'], 's')}[/], "
        f"[bold]{si(report['energy_joules'], 'J')}[/], {si(report['average_watts'], 'W')}"
    )
    tokens = source.get("tokens")
    if tokens and report["seconds"]:
        out.print(
            f"{tokens:,} tokens a step: {si(tokens / report['seconds'], 'tokens/s')}, "
            f"{si(energy['per_token'], 'J')} per token"
            + (f", {si(energy['per_updated_parameter'], 'J')} per updated parameter"
               if energy["per_updated_parameter"] else "")
        )  # fmt: skip
    used = report["utilisation"]
    macs = report["macs"]
    out.print(
        f"tensor unit {percent(used['tensor'])} of peak "
        f"({percent(used['tensor_while_busy'])} while busy), DRAM {percent(used['dram'])} of its "
        f"bandwidth; {si(macs['executed'])} multiply-adds, {si(macs['padded'])} of padding, "
        f"{si(macs['masked'])} saved by masks"
    )
    out.print(
        f"peak scratchpad {binary(report['peak_spm_bytes'])}, "
        f"peak DRAM {binary(report['peak_dram_bytes'])}"
    )


def _phases(out: Console, report: Report) -> None:
    rows = [
        (
            name.replace("_", " "),
            f"{phase['cycles']:,}",
            percent(_share(phase["cycles"], report["cycles"])),
            bar(_share(phase["cycles"], report["cycles"])),
            f"{phase['active_cycles']:,}",
            si(phase["macs"]),
            si(phase["dram_moved_bytes"], "B"),
            si(phase["energy_joules"], "J"),
        )
        for name, phase in report["phases"].items()
    ]
    headings = ("phase", "critical cycles", "share", "~<", "~active cycles", "MACs",
                "DRAM moved", "energy")  # fmt: skip
    out.print(table("phases", headings, rows))


def _units(out: Console, report: Report) -> None:
    cycles = report["cycles"]
    rows = []
    for name, unit in report["units"].items():
        shares = [_share(unit[part], cycles) for part in PARTS]
        rows.append((name, stacked(shares, GLYPHS, min(32, out.width // 5)), *map(percent, shares)))
    headings = ("unit", "<of the run", "█ busy", "▓ for units", "▒ for memory", "· idle")
    out.print(table("units: at work, waiting for other units or for DRAM, idle", headings, rows))


def _operations(out: Console, report: Report, top: int) -> None:
    ops = sorted(report["ops"], key=lambda op: (-op["critical_cycles"], -op["active_cycles"]))
    rows = [
        (
            escape(shortened(op["name"])),
            op["phase"].replace("_", " "),
            percent(_share(op["critical_cycles"], report["cycles"])),
            f"{op['active_cycles']:,}",
            si(op["macs"]) if op["macs"] else "",
            si(op["dram_moved_bytes"], "B") if op["dram_moved_bytes"] else "",
            f"{op['arithmetic_intensity']:.4g}" if op["macs"] and op["arithmetic_intensity"]
            else ("on chip" if op["macs"] else ""),
            si(op["attained_flops"], "FLOP/s", 3) if op["macs"] else "",
            percent(op["roofline_fraction"]) if op["macs"] else "",
            escape(shortened(op["location"])),
        )
        for op in ops[: top or None]
    ]  # fmt: skip
    headings = ("operation", "<phase", "of run", "~active", "~MACs", "DRAM", "FLOP/B", "~attained",
                "of roof", "~<source")  # fmt: skip
    ridge = report["roofline"]["ridge_flops_per_byte"]
    title = (
        f"operations that the run waits for longest (ridge of the roofline: {ridge:,.0f} FLOP/B)"
    )
    out.print(table(title, headings, rows))
    if len(ops) > len(rows):
        out.print(f"{len(ops) - len(rows)} more operations; --top 0 shows all")


def _traffic(out: Console, report: Report) -> None:
    asked, moved = report["dram_bytes"], report["dram_moved_bytes"]
    total = sum(sum(way.values()) for way in moved.values())
    rows = []
    for purpose in moved["read"]:
        both = [moved[way].get(purpose, 0) for way in ("read", "write")]
        if any(both):
            rows.append(
                (
                    purpose,
                    si(asked["read"].get(purpose, 0), "B"),
                    si(both[0], "B"),
                    si(asked["write"].get(purpose, 0), "B"),
                    si(both[1], "B"),
                    percent(_share(sum(both), total)),
                    bar(_share(sum(both), total)),
                )
            )
    headings = ("purpose", "read", "moved", "written", "moved", "share", "~<")
    out.print(table("DRAM bytes by purpose: asked for, and moved in whole bursts", headings, rows))


def _scratchpad(out: Console, report: Report) -> None:
    read, written = (report["spm_bytes_by_purpose"][way] for way in ("read", "written"))
    total = sum(read.values()) + sum(written.values())
    rows = []
    for purpose in dict.fromkeys([*read, *written]):
        both = read.get(purpose, 0), written.get(purpose, 0)
        if any(both):
            share = _share(sum(both), total)
            rows.append((purpose, *(si(size, "B") for size in both), percent(share), bar(share)))
    title = "scratchpad bytes by purpose, of all units"
    out.print(table(title, ("purpose", "read", "written", "share", "~<"), rows))


def _counts(out: Console, report: Report) -> None:
    """What has no table of its own, in a line each."""
    more = sum(sum(way.values()) for way in report["dram_overfetch_bytes"].values())
    out.print(
        f"DRAM: {report['dram_bursts']:,} bursts, {report['dram_activates']:,} activates; "
        f"{si(more, 'B')} moved beyond what was asked for"
    )
    commands = ", ".join(f"{name} {count:,}" for name, count in report["commands"].items())
    out.print(f"commands: {commands or 'none'}")
    semaphores = report["semaphores"]
    out.print(
        f"semaphores: {semaphores['waits']:,} waits, of which {semaphores['blocked']:,} took time, "
        f"{semaphores['posts']:,} posts"
    )
    for name, lists in report["lists"].items():
        ends = dict.fromkeys((lists["shortest"], lists["longest"]))
        lengths = " to ".join(f"{length:,}" for length in ends)
        out.print(
            f"index lists of {name}: {lists['lists']:,}, {lengths} entries each, "
            f"{lists['entries']:,} together"
        )


def _updated(out: Console, report: Report, top: int) -> None:
    def part(count: int | None, of: int) -> str:
        return "" if count is None else f"{count:,} of {of:,}"

    found = report["updated"]["parameters"]
    rows = [
        (
            escape(shortened(each["name"])),
            part(each["rows"], each["shape"][0] if each["shape"] else 1),
            part(each["columns"], each["shape"][1] if len(each["shape"]) > 1 else 1),
            f"{each['elements']:,}",
        )
        for each in found[: top or None]
    ]
    if rows:
        out.print(table("what trains", ("parameter", "rows", "columns", "elements"), rows))
    if len(found) > len(rows):
        out.print(f"{len(rows)} of {len(found)} parameters; --top 0 shows all")


def _energy(out: Console, report: Report) -> None:
    parts = report["energy"]["by_component"]
    total = report["energy_joules"]
    rows = [
        (name.replace("_", " "), si(joules, "J"), percent(_share(joules, total)),
         bar(_share(joules, total)))
        for name, joules in sorted(parts.items(), key=lambda entry: -entry[1])
    ]  # fmt: skip
    out.print(table("energy", ("component", "energy", "share", "~<"), rows))


def _critical(out: Console, report: Report, top: int) -> None:
    path = report["critical_path"]
    for kind in ("by_unit", "by_cause"):
        parts = sorted(path[kind].items(), key=lambda entry: -entry[1])
        text = ", ".join(f"{n} {percent(_share(c, report['cycles']))}" for n, c in parts)
        out.print(f"critical path {kind.replace('_', ' ')}: {text}")
    rows = [
        (
            escape(shortened(entry["op"])),
            entry["phase"].replace("_", " "),
            entry["unit"],
            entry["cause"],
            f"{entry['cycles']:,}",
            percent(entry["share"]),
        )
        for entry in path["longest"][: top or None]
    ]
    headings = ("operation", "<phase", "<unit", "<because of", "cycles", "share")
    out.print(table("critical path, longest pieces", headings, rows))


def _closed_forms(out: Console, report: Report) -> None:
    form = report["closed_form"]
    rows = [
        (name.replace("_", " "), f"{part['compute']:,}", f"{part['dma']:,}",
         f"{max(part['compute'], part['dma']):,}")
        for name, part in form["phases"].items()
    ]  # fmt: skip
    rows.append(("fill and drain", "", "", f"{form['fill'] + form['drain']:,}"))
    rows.append(("step", "", "", f"{form['cycles']:,}"))
    out.print(table("closed form: cycles", ("phase", "compute", "DMA", "longer"), rows))
    out.print(
        f"simulated / closed form {_ratio(form['simulated_over_closed_form'])}; simulated / busy "
        f"cycles of {form['busiest_unit']}, the busiest unit: "
        f"{_ratio(form['simulated_over_busiest_unit'])}; the next, {form['next_unit']}, is busy "
        f"for {percent(form['next_unit_cycles'] / (form['busiest_unit_cycles'] or 1))} of its time"
    )
    if (gemm := report.get("gemm_cycles")) is not None:
        _gemm_cycles(out, gemm)


def _gemm_cycles(out: Console, gemm: dict[str, Any]) -> None:
    kinds = ("ideal", "ours", "scale_sim_output_stationary", "scale_sim_weight_stationary")

    def row(name: str, values: dict[str, float]) -> Sequence[str]:
        return (name.replace("_", " "), *(f"{values[kind]:,.0f}" for kind in kinds))

    rows = [row(name, values) for name, values in gemm["phases"].items() if values["ours"]]
    array = " x ".join(map(str, gemm["array"]))
    headings = ("phase", "MACs / peak", "this machine", f"SCALE-Sim OS {array}",
                f"SCALE-Sim WS {array}")  # fmt: skip
    out.print(table("cycles of matrix products, beside SCALE-Sim's closed forms", headings,
                    [*rows, row("total", gemm["total"])]))  # fmt: skip


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
