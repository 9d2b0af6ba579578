"""A schedule as plain data: what is where, what moves when, what it costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ssft.compiler.cost_model.streaming.bound import least_seconds
from ssft.compiler.cost_model.streaming.check import check
from ssft.compiler.cost_model.streaming.schedule import Schedule, share_of
from ssft.compiler.cost_model.streaming.search import Found
from ssft.compiler.cost_model.streaming.step import KINDS


def stream_report(found: Found) -> dict[str, Any]:
    """Returns all that is known of the best schedule, which is checked first.

    Bytes and seconds. ``without_overlap_seconds``: its transfers and computing one after another;
    ``keeping_nothing_seconds``: of the schedule that fetches everything each time.
    """
    best = found.best
    peak = check(best)
    busy, moved = best.busy(), best.moved()
    work = {"compute": best.compute_seconds, **busy}
    return {
        "name": best.step.name,
        "method": best.step.method,
        "machine": asdict(best.machine),
        "peak_bytes": peak,
        "host_bytes": _host_bytes(best),
        "ssd_bytes": best.homes.bytes_in(best.step, "ssd"),
        "least_bytes": found.least,
        "seconds": best.seconds,
        "lower_bound_seconds": least_seconds(best.step, best.machine),
        "compute_seconds": best.compute_seconds,
        "without_overlap_seconds": sum(work.values()),
        "keeping_nothing_seconds": found.keeping_nothing and found.keeping_nothing.seconds,
        "all_resident": {"peak_bytes": found.all_resident, "seconds": best.compute_seconds},
        "bounded_by": max(work, key=lambda name: work[name]),
        "queues": {
            queue: {
                "amount": moved[queue],
                "seconds": seconds,
                "busy": share_of(seconds, best.seconds),
            }
            for queue, seconds in busy.items()
        },
        "tiers": _tiers(best),
        "fetched_ahead": _ahead(best),
        "segments": [
            {"phase": segment.phase, "flops": segment.flops, "slot": slot, "begin": a, "end": b}
            for segment, slot, a, b in zip(
                best.step.segments, best.slots, best.begins, best.ends, strict=True
            )
        ],
        "tensors": [_tensor(best, number) for number in range(len(best.step.tensors))],
        "transfers": [asdict(transfer) for transfer in best.transfers],
    }


def _tensor(schedule: Schedule, number: int) -> dict[str, Any]:
    tensor = schedule.step.tensors[number]
    return {
        "name": tensor.name,
        "kind": tensor.kind,
        "bytes": tensor.bytes,
        "home": schedule.homes.of.get(number, "device"),
        "uses": list(tensor.uses),
        "on_device": [list(visit) for visit in schedule.stays[number]],
    }


def _tiers(schedule: Schedule) -> dict[str, dict[str, float]]:
    """Bytes of each kind by home: what needs none is on the device for as long as it is there."""
    found = {kind: {"device": 0.0, "host": 0.0, "ssd": 0.0} for kind in KINDS}
    for number, tensor in enumerate(schedule.step.tensors):
        home = schedule.homes.of.get(number, "device")
        if tensor.on_host and tensor.temporary:
            home = "host"
        found[tensor.kind][home] += tensor.bytes
    return {kind: homes for kind, homes in found.items() if sum(homes.values())}


def _host_bytes(schedule: Schedule) -> float:
    """Homes, buffers, and gradients that wait for their update, at most."""
    moments: list[tuple[float, float]] = []
    updated = {t.tensor: t.end for t in schedule.transfers if t.queue == "host_update"}
    weights = {n: u.weight for u in schedule.step.updates for n in u.gradients}
    for transfer in schedule.transfers:
        if transfer.queue == "to_host" and schedule.step.tensors[transfer.tensor].on_host:
            until = updated.get(weights.get(transfer.tensor, -1), schedule.seconds)
            moments += [(transfer.start, transfer.bytes), (until, -transfer.bytes)]
    waiting = most = 0.0
    for _, change in sorted(moments):
        waiting += change
        most = max(most, waiting)
    homes = schedule.homes
    return homes.bytes_in(schedule.step, "host") + 2 * homes.staging + most


def _ahead(schedule: Schedule) -> dict[str, float]:
    """How much is fetched before the segment that needs it begins its slot."""
    loads = [t for t in schedule.transfers if t.queue == "to_device"]
    early = [t for t in loads if t.needed is not None and t.start < schedule.slots[t.needed]]
    segments = sum((t.needed or 0) - t.slot for t in early) / len(early) if early else 0.0
    return {
        "bytes": sum(t.bytes for t in early),
        "of_bytes": sum(t.bytes for t in loads),
        "segments": segments,
    }
