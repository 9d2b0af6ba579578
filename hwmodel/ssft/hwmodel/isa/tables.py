"""Tables of dataclasses as plain lists that JSON can hold, and back, by their annotations.

A dataclass becomes the list of its fields' values, a tuple a list, and `bytes` a number: that of a
blob, which is stored beside. Nothing but data can be read: an annotation says what is expected of
each value, and anything else is a `TableError` that says where it is.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable
from functools import cache
from operator import index
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Blobs = list[bytes]
Convert = Callable[[Any, Blobs], Any]


class TableError(Exception):
    """A value that its annotation does not allow; `path` leads to it, innermost step first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{''.join(reversed(self.path)).removeprefix('.')} {self.args[0]}".strip()


def to_plain(annotation: Any, value: Any, blobs: Blobs) -> Any:
    """Returns `value` as lists, numbers, strings and None; appends its bytes to `blobs`."""
    return _converter(annotation, False)(value, blobs)


def from_plain(annotation: Any, plain: Any, blobs: Blobs) -> Any:
    """Returns the value of type `annotation` that `to_plain` made `plain` of."""
    return _converter(annotation, True)(plain, blobs)


def schema(annotation: Any) -> str:
    """Describes a type down to the last field, so that two versions of it can be told apart."""
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        hints = _hints(annotation)
        inner = ",".join(
            f"{f.name}:{schema(hints[f.name])}" for f in dataclasses.fields(annotation)
        )
        return f"{annotation.__name__}({inner})"
    if get_origin(annotation) is Literal:
        return "|".join(map(repr, get_args(annotation)))
    if arguments := get_args(annotation):
        inner = ",".join("..." if a is Ellipsis else schema(a) for a in arguments)
        kind = "tuple" if get_origin(annotation) is tuple else "union"
        return f"{kind}[{inner}]"
    return annotation.__name__


def _hints(annotation: type) -> dict[str, Any]:
    """The fields' types; names mean what they do in the module, even if a field is called so."""
    module = vars(sys.modules[annotation.__module__])
    return get_type_hints(annotation, module, module)


@cache
def _converter(annotation: Any, reading: bool) -> Convert:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation is bytes:
        return _read_bytes if reading else _write_bytes
    if dataclasses.is_dataclass(annotation):
        return _dataclass(annotation, reading)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return _union(annotation, arguments, reading)
    if origin in (tuple, list) and (origin is list or arguments[-1] is Ellipsis):
        return _sequence(_converter(arguments[0], reading), origin if reading else list)
    if origin is tuple:
        return _row([("", a) for a in arguments], reading, tuple if reading else list)
    raise TypeError(f"no table can hold {annotation}")


def _integer(value: Any, _: Blobs) -> int:
    try:
        number = int(index(value))  # a bool is a number like others
    except TypeError:
        raise TableError(f"is {value!r}, expected an integer") from None
    if not -(1 << 63) <= number < 1 << 64:
        raise TableError("is a number of more than 64 bits")
    return number


def _exactly(kind: type, name: str) -> Convert:
    def convert(value: Any, _: Blobs) -> Any:
        if not isinstance(value, kind):
            raise TableError(f"is {value!r}, expected {name}")
        return value

    return convert


_SCALARS: dict[Any, Convert] = {
    int: _integer,
    float: _exactly(float, "a number with a point"),
    bool: _exactly(bool, "true or false"),
    str: _exactly(str, "a string"),
    type(None): _exactly(type(None), "nothing"),
}


def _write_bytes(value: Any, blobs: Blobs) -> int:
    if not isinstance(value, bytes):
        raise TableError(f"is of type {type(value).__name__}, expected bytes")
    blobs.append(value)
    return len(blobs) - 1


def _read_bytes(plain: Any, blobs: Blobs) -> bytes:
    if not isinstance(plain, int) or not 0 <= plain < len(blobs):
        raise TableError(f"is blob {plain!r}, but there are {len(blobs)}")
    return blobs[plain]


def _literal(allowed: tuple[Any, ...]) -> Convert:
    def convert(value: Any, _: Blobs) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise TableError(f"is {value!r}, expected one of {', '.join(allowed)}")
        return value

    return convert


def _union(annotation: Any, members: tuple[Any, ...], reading: bool) -> Convert:
    """A union of scalars, perhaps with bytes; the value's own type tells which it is."""
    by_type = {member: _converter(member, reading) for member in members}
    if reading and bytes in by_type:
        by_type = {int: by_type.pop(bytes)} | by_type
    if int in by_type:
        by_type.setdefault(bool, by_type[int])

    def convert(value: Any, blobs: Blobs) -> Any:
        member = by_type.get(type(value))
        if member is None:
            raise TableError(f"is {value!r}, expected {annotation}")
        return member(value, blobs)

    return convert


def _sequence(element: Convert, container: Callable[[Any], Any]) -> Convert:
    def convert(value: Any, blobs: Blobs) -> Any:
        if not isinstance(value, list | tuple):
            raise TableError(f"is {value!r}, expected a list")
        done = []
        try:
            for item in value:
                done.append(element(item, blobs))
        except TableError as error:
            error.path.append(f"[{len(done)}]")
            raise
        return container(done)

    return convert


def _row(members: list[tuple[str, Any]], reading: bool, container: Callable[[Any], Any]) -> Convert:
    """A list with a type for each place."""
    steps = [(name, _converter(annotation, reading)) for name, annotation in members]

    def convert(value: Any, blobs: Blobs) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(steps):
            raise TableError(f"is {value!r}, expected a list of {len(steps)}")
        done: list[Any] = []
        try:
            for item, (_, element) in zip(value, steps, strict=True):
                done.append(element(item, blobs))
        except TableError as error:
            name = steps[len(done)][0]
            error.path.append(f".{name}" if name else f"[{len(done)}]")
            raise
        return container(done)

    return convert


def _dataclass(annotation: Any, reading: bool) -> Convert:
    hints = _hints(annotation)
    names = [field.name for field in dataclasses.fields(annotation)]
    members = [(name, hints[name]) for name in names]
    if reading:
        return _row(members, True, lambda values: annotation(*values))
    row = _row(members, False, list)

    def convert(value: Any, blobs: Blobs) -> Any:
        if not isinstance(value, annotation):
            raise TableError(f"is {value!r}, expected a {annotation.__name__}")
        return row([getattr(value, name) for name in names], blobs)

    return convert
