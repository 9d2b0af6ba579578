"""Commands as bytes: 32 each, laid out as `commands` says.

A command is taken as one 256-bit little-endian number, in which each field has a place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from operator import attrgetter, index
from typing import Any

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa.commands import COMMANDS, NO_SEMAPHORE, Command, Queue

COMMAND_BYTES = 32
HEAD_BITS = 64


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of a command are.

    `names` are those of the payload's fields in order, `bits` their widths and `places` the same
    with their first bits, counted from the command's. From bit `end` on a command is zero.
    `optional` are the fields that may be left out, with what they are then.
    """

    command: type[Command]
    names: tuple[str, ...]
    bits: dict[str, int]
    places: tuple[tuple[int, int], ...]
    end: int
    optional: dict[str, int]
    values: Callable[[Any], tuple[Any, ...]]


def _layout(command: type[Command]) -> Layout:
    payload = [f for f in fields(command) if "bits" in f.metadata]
    bits = {f.name: f.metadata["bits"] for f in payload}
    optional = {f.name: f.default for f in payload if f.default is not MISSING}
    places, end = [], HEAD_BITS
    for width in bits.values():
        places.append((end, width))
        end += width
    if end > 8 * COMMAND_BYTES:
        raise ValueError(f"{command.__name__} needs {end} bits")
    names = tuple(bits)
    return Layout(command, names, bits, tuple(places), end, optional, _getter(names))


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """`attrgetter` that gives a tuple also of one name or none."""
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda command: (get(command),)


LAYOUTS: dict[type[Command], Layout] = {command: _layout(command) for command in COMMANDS}
BY_OPCODE: dict[int, Layout] = {layout.command.OPCODE: layout for layout in LAYOUTS.values()}


def encode_commands(queue: Queue, commands: Sequence[Command]) -> bytes:
    """Returns the commands of a queue as bytes, 32 each.

    Raises `MachineError`, naming queue, position and field, if a value does not fit.
    """
    words = []
    for position, command in enumerate(commands):
        try:
            words.append(_word(command).to_bytes(COMMAND_BYTES, "little"))
        except (KeyError, TypeError, OverflowError):
            raise _misfit(queue, position, command) from None
    return b"".join(words)


def _word(command: Command) -> int:
    layout = LAYOUTS[type(command)]
    wait = NO_SEMAPHORE if command.wait is None else index(command.wait)
    post = NO_SEMAPHORE if command.post is None else index(command.post)
    tag, wait_value = index(command.tag), index(command.wait_value)
    if (wait | post) >> 4 or tag >> 16 or wait_value >> 32:
        raise OverflowError
    if (wait == NO_SEMAPHORE) != (command.wait is None):
        raise OverflowError
    if (post == NO_SEMAPHORE) != (command.post is None):
        raise OverflowError
    word = command.OPCODE | wait << 8 | post << 12 | tag << 16 | wait_value << 32
    for value, (shift, bits) in zip(layout.values(command), layout.places, strict=True):
        value = index(value)  # numpy's integers would overflow in the shift
        if value >> bits:
            raise OverflowError
        word |= value << shift
    return word


def _misfit(queue: Queue, position: int, command: Any) -> MachineError:
    """Finds out why `command` has no encoding."""
    layout = LAYOUTS.get(type(command))
    if layout is None:
        return MachineError(f"{place_name(queue, position)}: {command!r} is not a command")
    where = place_name(queue, position, command)
    for name in ("wait", "post"):
        value = getattr(command, name)
        if value is not None and not (_is_integer(value) and 0 <= value < NO_SEMAPHORE):
            return MachineError(
                f"{where}: '{name}' is {value!r}, which is not a semaphore",
                ["semaphores are numbered from 0 to 14; None is for none"],
            )
    for name, bits in {"tag": 16, "wait_value": 32, **layout.bits}.items():
        value = getattr(command, name)
        if not _is_integer(value):
            return MachineError(f"{where}: '{name}' is {value!r}, which is not an integer")
        if index(value) >> bits:
            return MachineError(
                f"{where}: '{name}' is {value}, which does not fit its {bits} bits",
                [f"the largest value is {(1 << bits) - 1}; a larger operation must be cut"],
            )
    raise AssertionError(f"{command} has an encoding")


def _is_integer(value: object) -> bool:
    return hasattr(type(value), "__index__")


def place_name(queue: Queue, position: int, command: Command | None = None) -> str:
    """How messages call a command."""
    mnemonic = f" ({command.MNEMONIC})" if command is not None else ""
    return f"queue {queue.name.lower()}, command {position}{mnemonic}"


def decode_commands(queue: Queue, data: bytes | memoryview) -> list[Command]:
    """Returns the commands that `data` encode.

    Raises `MachineError`, naming queue and position, if an opcode is unknown, if bits that no field
    has are not zero, or if the last command is cut short.
    """
    if len(data) % COMMAND_BYTES:
        raise MachineError(
            f"queue {queue.name.lower()} has {len(data)} bytes, which is not a multiple of "
            f"{COMMAND_BYTES}"
        )
    commands = []
    for start in range(0, len(data), COMMAND_BYTES):
        word = int.from_bytes(data[start : start + COMMAND_BYTES], "little")
        layout = BY_OPCODE.get(word & 0xFF)
        if layout is None or word >> layout.end:
            raise _undecodable(queue, start // COMMAND_BYTES, word, layout)
        values = {
            name: word >> shift & (1 << bits) - 1
            for name, (shift, bits) in zip(layout.names, layout.places, strict=True)
        }
        wait, post = word >> 8 & 15, word >> 12 & 15
        commands.append(
            layout.command(
                tag=word >> 16 & 0xFFFF,
                wait=None if wait == NO_SEMAPHORE else wait,
                wait_value=word >> 32 & 0xFFFF_FFFF,
                post=None if post == NO_SEMAPHORE else post,
                **values,
            )
        )
    return commands


def _undecodable(queue: Queue, position: int, word: int, layout: Layout | None) -> MachineError:
    where = place_name(queue, position)
    if layout is None:
        return MachineError(f"{where}: unknown opcode {word & 0xFF:#04x}")
    return MachineError(
        f"{where} ({layout.command.MNEMONIC}): reserved bits from bit {layout.end} on are not zero",
        [f"they are {word >> layout.end:#x}"],
    )
