"""What each argument and result of the step means."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Argument:
    """One argument of @step; the fields are its ``ssft.*`` attributes (docs/architecture.md)."""

    role: str
    name: str
    state: str | None = None
    aliases: tuple[str, ...] = ()
    value_range: tuple[int, int] | None = None
    ignore: int | None = None
    buffer: bool = False


@dataclass
class Signature:
    """The arguments of the step in order, and of each result after the loss the one it updates."""

    arguments: list[Argument] = field(default_factory=list)
    updates: list[Argument] = field(default_factory=list)
