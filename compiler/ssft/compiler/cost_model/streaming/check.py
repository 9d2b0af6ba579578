"""Checks a schedule by what it says alone: moments, not slots; nothing of how it was made.

It shares with the timeline what a step and a transfer are, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ssft.compiler.cost_model.streaming.schedule import QUEUES, Schedule, Transfer

TOLERANCE = 1e-9
"""Relative: sums of many floating-point numbers in different orders."""

Moment = tuple[float, float]
"""Seconds; and, since segments may take no time, a place in the order of the segments."""

Interval = tuple[Moment, Moment, float]
"""From, to, bytes."""


class ScheduleError(Exception):
    """A schedule that cannot be carried out: a fault of the compiler."""


def check(schedule: Schedule) -> float:
    """Returns the most bytes on the device at any moment.

    Raises ScheduleError if that is above the budget, if a queue does two things at once or faster
    than it can, if a segment runs without its tensors, if what is fetched is not there yet, or if
    something that changed is dropped.
    """
    _queues(schedule)
    _order(schedule)
    events: dict[int, dict[str, list[Transfer]]] = defaultdict(lambda: defaultdict(list))
    for transfer in schedule.transfers:
        events[transfer.tensor][transfer.queue].append(transfer)
    tensors = range(len(schedule.step.tensors))
    copies = [_copies(schedule, number, events[number]) for number in tensors]
    _uses(schedule, copies)
    peak = _peak([*_working(schedule), *(copy for each in copies for copy in each)])
    peak += schedule.step.fixed
    if peak > schedule.machine.device * (1 + TOLERANCE):
        raise ScheduleError(f"{peak:.0f} bytes on the device, which has {schedule.machine.device}")
    return peak


def _queues(schedule: Schedule) -> None:
    for queue in QUEUES:
        rate, free = getattr(schedule.machine, queue), 0.0
        mine = (transfer for transfer in schedule.transfers if transfer.queue == queue)
        for transfer in sorted(mine, key=lambda transfer: (transfer.start, transfer.end)):
            if transfer.start < free - _slack(schedule):
                raise ScheduleError(f"{queue} does two things at {transfer.start}")
            if transfer.bytes > rate * (transfer.end - transfer.start + _slack(schedule)):
                raise ScheduleError(f"{queue} is too fast at {transfer.start}")
            free = transfer.end


def _order(schedule: Schedule) -> None:
    """Segments run one after another, as long as their operations take."""
    now = 0.0
    for number, segment in enumerate(schedule.step.segments):
        takes = segment.flops / schedule.machine.compute
        if schedule.begins[number] < now - _slack(schedule):
            raise ScheduleError(f"segment {number} begins before the one before it has ended")
        if schedule.ends[number] < schedule.begins[number] + takes - _slack(schedule):
            raise ScheduleError(f"segment {number} takes too little time")
        now = schedule.ends[number]


def _copies(
    schedule: Schedule, number: int, events: Mapping[str, list[Transfer]]
) -> list[Interval]:
    """When bytes of a tensor are taken on the device; checks that nothing is lost on the way."""
    tensor = schedule.step.tensors[number]
    loads, stores, writes = events["to_device"], events["to_host"], events["ssd_write"]
    on_ssd = schedule.homes.of.get(number) == "ssd"
    found: list[Interval] = []
    dirty = False
    for first, last in schedule.stays[number]:
        here = number in schedule.resident and first == 0
        made = tensor.temporary and first == tensor.uses[0]
        begin = (0.0, -1.0) if here else (schedule.slots[first], float(first))
        if not here and not made:
            load = next((each for each in loads if each.needed == first), None)
            if load is None or load.end > schedule.begins[first] + _slack(schedule):
                raise ScheduleError(f"segment {first} runs without {tensor.name}")
            begin = (load.start, float(load.slot))
            _is_home(schedule, load, writes if on_ssd else stores, events["ssd_read"], on_ssd)
        dirty = dirty or any(first <= use <= last for use in tensor.written)
        end = (schedule.ends[last], last + 0.5)
        stays_on = number in schedule.remains and last == len(schedule.step.segments) - 1
        over = tensor.temporary and last >= tensor.uses[-1]
        if dirty and not stays_on and (not over or tensor.on_host):
            store = next((each for each in stores if each.slot == last), None)
            if store is None or store.start < end[0] - _slack(schedule):
                raise ScheduleError(f"{tensor.name} is dropped after segment {last}, changed")
            # Who waits for the room has it from this moment.
            end, dirty = (store.end, -1.0), False
        found.append((begin, end, tensor.bytes))
    return found


def _is_home(
    schedule: Schedule,
    load: Transfer,
    sent: list[Transfer],
    reads: list[Transfer],
    on_ssd: bool,
) -> None:
    """What a load brings has been there, whole, before."""
    begin = load.start
    if on_ssd:
        read = next((r for r in reads if r.slot == load.needed and r.end <= begin + 1e-12), None)
        if read is None or read.bytes != load.bytes:
            raise ScheduleError(f"tensor {load.tensor} is not read before it is sent")
        begin = read.start
    before = [each for each in sent if each.slot < (load.needed or 0)]
    if any(each.end > begin + _slack(schedule) for each in before):
        raise ScheduleError(f"tensor {load.tensor} is fetched before it has arrived")
    tensor = schedule.step.tensors[load.tensor]
    if tensor.temporary and not before:
        raise ScheduleError(f"{tensor.name} is fetched but was never sent away")


def _uses(schedule: Schedule, copies: list[list[Interval]]) -> None:
    slack = _slack(schedule)
    for number, tensor in enumerate(schedule.step.tensors):
        for use in tensor.uses:
            begin, end = schedule.begins[use], schedule.ends[use]
            if not any(
                a <= begin + slack and end <= b + slack for (a, _), (b, _), _ in copies[number]
            ):
                raise ScheduleError(f"segment {use} runs without {tensor.name}")


def _working(schedule: Schedule) -> Iterator[Interval]:
    for number, segment in enumerate(schedule.step.segments):
        begin, end = (schedule.slots[number], float(number)), (schedule.ends[number], number + 0.5)
        yield begin, end, segment.working


def _peak(intervals: list[Interval]) -> float:
    """The most bytes at once. What ends at a moment makes room for what begins at it."""
    changes = [(end, 0, -size) for _, end, size in intervals]
    changes += [(begin, 1, size) for begin, _, size in intervals]
    peak = held = 0.0
    for _, _, change in sorted(changes):
        held += change
        peak = max(peak, held)
    return peak


def _slack(schedule: Schedule) -> float:
    return 1e-12 + TOLERANCE * schedule.seconds
