"""Commands as lines of assembly, and back; `assembly` says what they look like."""

from __future__ import annotations

from typing import Any

from ssft.hwmodel.isa.assembly_tokens import Line
from ssft.hwmodel.isa.command_encoding import LAYOUTS, Layout
from ssft.hwmodel.isa.commands import NO_LIST, NO_SEMAPHORE, Command

_HEXADECIMAL = frozenset(
    {"dram", "spm", "index", "a", "b", "c", "target", "source", "gradient", "score"}
    | {"counts", "values", "threshold"}
)
_LAYOUTS: dict[str, Layout] = {layout.command.MNEMONIC: layout for layout in LAYOUTS.values()}


def command_text(command: Command) -> str:
    """Returns a command as a line of assembly, without comment."""
    layout = LAYOUTS[type(command)]
    parts = [command.MNEMONIC, ""] if layout.names else [command.MNEMONIC]
    for name, value in zip(layout.names, layout.values(command), strict=True):
        if value == NO_LIST and layout.optional.get(name) == NO_LIST:
            text = "none"
        else:
            text = hex(value) if name in _HEXADECIMAL else str(value)
        parts.append(f"{name}={text}")
    head = []
    if command.wait is not None or command.wait_value:
        wait = "none" if command.wait is None else command.wait
        head.append(f"wait {wait}>={command.wait_value}")
    if command.post is not None:
        head.append(f"post {command.post}")
    if command.tag:
        head.append(f"tag {command.tag}")
    return " ".join([*parts, "", *head]) if head else " ".join(parts)


def parse_command(line: Line) -> Command:
    """Reads a command."""
    try:
        return _quick_command(line.text)
    except (ValueError, KeyError, TypeError, StopIteration):
        return _exact_command(line)


def _quick_command(text: str) -> Command:
    """Reads a command that is as it should be; any exception says that it is not."""
    words = iter(text.partition(";")[0].split())
    layout = _LAYOUTS[next(words)]
    values: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if value:
            number = NO_LIST if value == "none" else int(value, 0)
            if number >> layout.bits[name]:
                raise ValueError
            if value == "none" and layout.optional.get(name) != NO_LIST:
                raise ValueError
        elif word == "wait":
            semaphore, _, until = next(words).partition(">=")
            number = None if semaphore == "none" else int(semaphore, 0)
            values["wait_value"] = int(until, 0)
        else:
            number = int(next(words), 0)
        if name in values:
            raise ValueError
        values[name] = number
    return _checked(layout.command(**values))


def _checked(command: Command) -> Command:
    semaphores = (command.wait, command.post)
    if any(s is not None and not 0 <= s < NO_SEMAPHORE for s in semaphores):
        raise ValueError
    if command.tag >> 16 or command.wait_value >> 32:
        raise ValueError
    return command


def _exact_command(line: Line) -> Command:
    """Reads a command token by token, which is slow, and knows what is wrong with it."""
    layout = _LAYOUTS[line.word("command", tuple(_LAYOUTS))]
    known = (*layout.names, "wait", "post", "tag")
    values: dict[str, Any] = {}
    while line.peek().kind == "word":
        token = line.peek()
        name = line.word(f"field of {layout.command.MNEMONIC}", known)
        if name in values:
            line.fail(f"'{name}' is given twice", "leave one out", token)
        if name == "wait":
            values[name] = None if line.accept("none") else _semaphore(line)
            line.expect(">=")
            values["wait_value"] = line.unsigned(32)
        elif name == "post":
            values[name] = _semaphore(line)
        elif name == "tag":
            values[name] = line.unsigned(16)
        else:
            line.expect("=")
            none = layout.optional.get(name) == NO_LIST and line.accept("none")
            values[name] = NO_LIST if none else line.unsigned(layout.bits[name])
    for name in layout.names:
        if name not in values and name not in layout.optional:
            line.fail(
                f"'{name}' of {layout.command.MNEMONIC} is missing",
                f"its fields are {', '.join(layout.names)}",
            )
    line.finish()
    return layout.command(**values)


def _semaphore(line: Line) -> int:
    token = line.peek()
    number = line.integer()
    if not 0 <= number < NO_SEMAPHORE:
        line.fail(f"{number} is not a semaphore", "they are numbered from 0 to 14", token)
    return number
