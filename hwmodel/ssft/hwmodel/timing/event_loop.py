"""The discrete-event loop: five in-order queues, semaphores, and one DRAM that two units share.

Time is in whole cycles. A command

- *issues* when its predecessor in the queue leaves the unit, and takes `issue_cycles` to decode;
- *starts* once decoded and once its semaphore has reached the value that it waits for;
- *leaves* when the unit is free for the next command: compute units after the command's cycles, DMA
  units when its bytes have flowed;
- is *complete* when it leaves, and `latency` later if it transfers bytes: latencies of successive
  transfers overlap. A queue completes its commands in order. Completion posts.

A transfer alone gets all of the DRAM's bandwidth. While both DMA units transfer, each gets half of
it, so each moves on by half a cycle of work per cycle; work is therefore kept in half cycles. Both
share until one is done, which takes an even number of cycles, so every transfer ends on a whole
cycle and nothing has to be rounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ssft.hwmodel import isa
from ssft.hwmodel.isa import Queue
from ssft.hwmodel.isa.commands import SEMAPHORES
from ssft.hwmodel.timing.stream import CommandStream

if TYPE_CHECKING:
    from ssft.hwmodel.timing.steady_state import SteadyState

NEVER = 1 << 62
UNIT_COUNT = len(Queue)
DMA = (Queue.DMA_IN, Queue.DMA_OUT)

Sharing = Literal["fair", "none", "halves"]
"""How the DMA units share bandwidth: ``fair`` is the machine. ``none`` gives each all of it always
and ``halves`` gives each half of it always; these two bound the machine from both sides."""

TRANSFER, CONTROL, FENCE, COMPUTE = range(4)


@dataclass(slots=True)
class Times:
    """When each command issued, started, left and was complete, in cycles, in stream order.

    `producer` is the command whose post let it start, or -1 if it did not wait for one; `reached`
    holds for each semaphore, in order, every new value and the command that brought it there.
    `order` holds the commands in the order in which they left their units.
    """

    issue: list[int]
    start: list[int]
    leave: list[int]
    complete: list[int]
    producer: list[int]
    reached: list[list[tuple[int, int]]]
    order: list[int]


class EventLoop:
    """One run of a command stream. `cycles` are those of each command alone, without its issue."""

    __slots__ = (
        "amount", "both", "count", "cycles", "extra", "flowing", "head", "issue_cycles", "kind",
        "latency", "left", "pending", "post", "remaining", "settled", "sharing", "stop", "times",
        "value", "wait", "waiting", "when",
    )  # fmt: skip

    def __init__(
        self,
        stream: CommandStream,
        cycles: list[int],
        issue_cycles: int,
        latency: int,
        sharing: Sharing = "fair",
    ) -> None:
        size = len(stream)
        self.wait, self.value = stream.wait.tolist(), stream.wait_value.tolist()
        self.post, self.amount = stream.post.tolist(), stream.amount.tolist()
        self.extra = stream.extra_post.tolist()
        self.kind = kinds(stream)
        self.cycles, self.issue_cycles, self.latency = cycles, issue_cycles, latency
        self.sharing = sharing
        self.head, self.stop = stream.first[:-1], stream.first[1:]
        self.count = [0] * SEMAPHORES
        self.waiting: list[list[int]] = [[] for _ in range(SEMAPHORES)]
        # Next event of each unit, then the next completion of each DMA unit.
        self.when = [NEVER] * (UNIT_COUNT + len(DMA))
        self.flowing = [False, False]
        self.remaining = [0, 0]
        self.settled = 0
        self.left = [0] * UNIT_COUNT
        self.pending: tuple[deque[int], deque[int]] = (deque(), deque())
        self.times = Times(
            issue=[0] * size,
            start=[0] * size,
            leave=[0] * size,
            complete=[0] * size,
            producer=[-1] * size,
            reached=[[] for _ in range(SEMAPHORES)],
            order=[],
        )

    def run(self, steady: SteadyState | None = None) -> Times:
        """Runs until nothing can happen any more; commands that never started have `head` left.

        `steady` is shown the machine now and then, and may move it on.
        """
        when, flowing, units = self.when, self.flowing, UNIT_COUNT
        dma_units = len(DMA)
        arrive, leave, complete = self.arrive, self.leave_compute, self.complete_dma
        for queue in range(units):
            arrive(queue, 0)
        head, anchor, checkpoint = self.head, 0, NEVER
        if steady is not None:
            anchor, checkpoint = steady.anchor, steady.next
        while (now := min(when)) < NEVER:
            if head[anchor] >= checkpoint and steady is not None:
                steady.look(now)
                checkpoint = steady.next
                continue
            event = when.index(now)
            if event >= units:
                complete(event - units, now)
            elif event >= dma_units:
                leave(event, now)
            elif flowing[event] or self.kind[self.head[event]] != TRANSFER:
                self.leave_dma(event, now)
            else:
                self.flow(event, now)
        return self.times

    def arrive(self, queue: int, now: int) -> None:
        """The command at the head of `queue` issues at `now`."""
        command = self.head[queue]
        if command == self.stop[queue]:
            self.when[queue] = NEVER
            return
        self.times.issue[command] = now
        semaphore = self.wait[command]
        if semaphore < 0 or self.count[semaphore] >= self.value[command]:
            self.begin(queue, command, now + self.issue_cycles)
        else:
            self.waiting[semaphore].append(queue)
            self.when[queue] = NEVER

    def begin(self, queue: int, command: int, at: int) -> None:
        """`command` starts at `at`, which may be later than now."""
        self.times.start[command] = at
        kind = self.kind[command]
        if kind == COMPUTE:
            self.when[queue] = at + self.cycles[command]
        elif kind == FENCE:
            self.when[queue] = max(at, self.left[queue])
        else:
            self.when[queue] = at

    def leave_compute(self, queue: int, now: int) -> None:
        """The command of a compute unit leaves and is complete."""
        command = self.head[queue]
        self.times.leave[command] = self.times.complete[command] = now
        self.times.order.append(command)
        self.head[queue] = command + 1
        self.raise_semaphores(command, now)
        self.arrive(queue, now)

    def flow(self, queue: int, now: int) -> None:
        """The bytes of a transfer begin to flow."""
        self.settle(now)
        self.flowing[queue] = True
        self.remaining[queue] = 2 * self.cycles[self.head[queue]]
        self.predict(now)

    def leave_dma(self, queue: int, now: int) -> None:
        """The command of a DMA unit leaves; it is complete `latency` later if it moved bytes."""
        command = self.head[queue]
        self.times.leave[command] = done = now
        self.times.order.append(command)
        if self.flowing[queue]:
            self.settle(now)
            self.flowing[queue] = False
            self.predict(now)
            done += self.latency
        self.times.complete[command] = self.left[queue] = done = max(done, self.left[queue])
        pending = self.pending[queue]
        if not pending:
            self.when[UNIT_COUNT + queue] = done
        pending.append(command)
        self.head[queue] = command + 1
        self.arrive(queue, now)

    def complete_dma(self, queue: int, now: int) -> None:
        """The oldest outstanding command of a DMA unit is complete."""
        pending = self.pending[queue]
        command = pending.popleft()
        self.when[UNIT_COUNT + queue] = self.times.complete[pending[0]] if pending else NEVER
        self.raise_semaphores(command, now)

    def raise_semaphores(self, command: int, now: int) -> None:
        """Posts of a complete command, and the starts that follow."""
        semaphore = self.post[command]
        if semaphore >= 0:
            self.raise_semaphore(semaphore, self.amount[command], command, now)
            if self.extra[command] >= 0:
                self.raise_semaphore(self.extra[command], 1, command, now)

    def raise_semaphore(self, semaphore: int, amount: int, command: int, now: int) -> None:
        """Adds to a semaphore; heads of queues that waited for the new value start."""
        count = self.count[semaphore] = self.count[semaphore] + amount
        self.times.reached[semaphore].append((count, command))
        waiting = self.waiting[semaphore]
        if not waiting:
            return
        self.waiting[semaphore] = []
        for queue in waiting:
            head = self.head[queue]
            if count >= self.value[head]:
                decoded = self.times.issue[head] + self.issue_cycles
                if now > decoded:
                    self.times.producer[head] = command
                self.begin(queue, head, max(decoded, now))
            else:
                self.waiting[semaphore].append(queue)

    def settle(self, now: int) -> None:
        """Brings the remaining work of both transfers up to now."""
        elapsed, self.settled = now - self.settled, now
        flowing, remaining = self.flowing, self.remaining
        rate = self.rate()
        for queue in (0, 1):
            if flowing[queue]:
                remaining[queue] -= rate * elapsed

    def predict(self, now: int) -> None:
        """When the transfers that flow would end if nothing changed."""
        rate = self.rate()
        for queue in (0, 1):
            if self.flowing[queue]:
                self.when[queue] = now + self.remaining[queue] // rate

    def rate(self) -> int:
        """Half cycles of work that a transfer does per cycle."""
        if self.sharing == "fair":
            return 1 if self.flowing[0] and self.flowing[1] else 2
        return 2 if self.sharing == "none" else 1


def kinds(stream: CommandStream) -> list[int]:
    """For each command, what the loop does with it."""
    of_shape = [
        FENCE if type(command) is isa.Fence
        else CONTROL if isinstance(command, isa.Wait | isa.Post | isa.Mark)
        else TRANSFER if command.QUEUES[0] in DMA
        else COMPUTE
        for command in stream.shapes
    ]  # fmt: skip
    return [of_shape[shape] for shape in stream.shape.tolist()]
