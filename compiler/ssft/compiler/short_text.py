"""Shorter text of a module: what recurs gets a name, what nobody refers to goes.

``#indices0 = array<i64: …>`` and ``!type0 = tensor<…>`` at the top of the file are aliases of MLIR:
whoever parses the text gets the same module.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_STRING = r'"(?:[^"\\]|\\.)*"'
_LIST = re.compile(rf"{_STRING}|array<i64: [^>]*>")
_TYPE = re.compile(rf"{_STRING}|tensor<[^<>]*>")
_LOCATION = re.compile(rf"{_STRING}|#loc\d*\b")
_CALL = re.compile(r"^ +(?:%[\w:]+ = )?call @.*$", re.MULTILINE)
_DEFINITION = re.compile(r"^(#loc\d*) = (.*)\n", re.MULTILINE)

_SHORTEST = 40
"""Characters of a list that deserves a name."""


def shorten(text: str) -> str:
    """Returns the text of a module with names for what makes it long.

    Those are lists of integers that it has more than once, and the types of what calls exchange.
    Definitions of locations that nothing refers to are left out.
    """
    lists = [found for found in _recurring(_LIST, [text]) if len(found) >= _SHORTEST]
    types = _recurring(_TYPE, _CALL.findall(text))
    indices = {found: f"#indices{number}" for number, found in enumerate(lists)}
    named = {found: f"!type{number}" for number, found in enumerate(types)}
    short = _CALL.sub(lambda call: _replaced(_TYPE, named, call[0]), text)
    short = _without_unused_locations(_replaced(_LIST, indices, short))
    return "".join(f"{name} = {found}\n" for found, name in (indices | named).items()) + short


def _recurring(pattern: re.Pattern[str], texts: Iterable[str]) -> list[str]:
    """Returns what `pattern` finds more than once, in the order of first occurrence."""
    counts = Counter(found for text in texts for found in pattern.findall(text))
    return [found for found, n in counts.items() if n > 1 and not found.startswith('"')]


def _replaced(pattern: re.Pattern[str], names: dict[str, str], text: str) -> str:
    return pattern.sub(lambda match: names.get(match[0], match[0]), text)


def _without_unused_locations(text: str) -> str:
    """Leaves out what the printer defines for arguments, whose locations it writes in place."""
    definitions = dict(_DEFINITION.findall(text))
    pending = _LOCATION.findall(_DEFINITION.sub("", text))
    used: set[str] = set()
    while pending:
        name = pending.pop()
        if name in definitions and name not in used:
            used.add(name)
            pending += _LOCATION.findall(definitions[name])
    return _DEFINITION.sub(lambda match: match[0] if match[1] in used else "", text)
