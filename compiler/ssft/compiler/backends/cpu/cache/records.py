"""Plain dataclasses as bytes: JSON, followed by the blobs that it refers to.

A dataclass becomes the list of its fields, in order, so nothing in a file says which code to run.
What the lists mean follows from the type that the reader asks for, whose definition must be the
one that they were written with: `ssft.compiler.backends.cpu.cache.keys.sources` is in the key.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from ssft.compiler.backends.cpu.cache.store import Data

T = TypeVar("T")

_SCALARS = (str, int, float, bool, types.NoneType)
_LENGTH = 8  # bytes of the number that says how long the JSON is


def dump(record: Any) -> list[Data]:
    """The parts of a file that holds the dataclass `record`.

    Fields hold str, int, float, bool, None, bytes, dataclasses, and lists, tuples and mappings of
    these. Equal bytes are stored once.
    """
    blobs: dict[Data, int] = {}
    text = json.dumps([_encode(record, blobs), [len(blob) for blob in blobs]]).encode()
    return [len(text).to_bytes(_LENGTH, "little"), text, *blobs]


def load(kind: type[T], data: memoryview) -> T:
    """The record of type `kind` in `data`; its bytes are views of `data`, not copies.

    Raises ValueError if `data` does not hold one.
    """
    try:
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        value, sizes = json.loads(bytes(data[_LENGTH:end]))
        blobs = []
        for size in sizes:
            blobs.append(data[end : end + size])
            end += size
        if end != len(data):
            raise ValueError("the sizes of the parts do not add up")
        return _decoder(kind)(value, blobs)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no {kind.__name__}: {error}") from error


def _encode(value: Any, blobs: dict[Data, int]) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, bytes | memoryview):
        return blobs.setdefault(value, len(blobs))
    if dataclasses.is_dataclass(value):
        return [_encode(getattr(value, entry.name), blobs) for entry in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return {str(key): _encode(item, blobs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item, blobs) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be stored")


Decoder = Callable[[Any, list[memoryview]], Any]


@cache
def _decoder(kind: Any) -> Decoder:
    """A function from JSON values and blobs to values of type `kind`."""
    if dataclasses.is_dataclass(kind):
        return _dataclass_decoder(kind)
    if kind is Any:
        return lambda value, blobs: _plain(value)
    if kind in _SCALARS:
        return lambda value, blobs: value
    if kind is bytes:
        return lambda value, blobs: blobs[value]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _union_decoder(arguments)
    if origin in (list, tuple):
        return _sequence_decoder(origin, arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = arguments[0], _decoder(arguments[1])
        return lambda value, blobs: {key(k): item(v, blobs) for k, v in value.items()}
    raise TypeError(f"{kind} cannot be stored")


def _dataclass_decoder(kind: Any) -> Decoder:
    hints = typing.get_type_hints(kind)
    types_ = [hints[entry.name] for entry in dataclasses.fields(kind)]
    if all(type_ in _SCALARS for type_ in types_):
        return lambda value, blobs: kind(*value)
    decoders = [_decoder(type_) for type_ in types_]
    return lambda value, blobs: kind(
        *(decode(item, blobs) for decode, item in zip(decoders, value, strict=True))
    )


def _union_decoder(choices: tuple[Any, ...]) -> Decoder:
    others = [choice for choice in choices if choice not in _SCALARS]
    if not others:
        return lambda value, blobs: value
    if len(others) > 1 or set(choices) - {others[0], types.NoneType}:
        raise TypeError(f"of {choices} it cannot be told which is stored")
    decode = _decoder(others[0])
    return lambda value, blobs: None if value is None else decode(value, blobs)


def _sequence_decoder(origin: type, arguments: tuple[Any, ...]) -> Decoder:
    same = origin is list or arguments[1:] == (...,)
    if same and arguments[0] in _SCALARS:
        return lambda value, blobs: origin(value)
    if same:
        decode = _decoder(arguments[0])
        return lambda value, blobs: origin([decode(item, blobs) for item in value])
    decoders = [_decoder(argument) for argument in arguments]
    return lambda value, blobs: tuple(
        decode(item, blobs) for decode, item in zip(decoders, value, strict=True)
    )


def _plain(value: Any) -> Any:
    """JSON as the plain values of plans, which know tuples and no lists."""
    if isinstance(value, list):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
