"""Notes for keys that do not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(key: str, known: Iterable[str]) -> str:
    """What to say about `key`, which is not among the `known` dotted keys."""
    keys = list(known)
    last = key.rpartition(".")[2]
    same_end = [candidate for candidate in keys if candidate.rpartition(".")[2] == last]
    if found := [*get_close_matches(key, keys, n=1, cutoff=0.75), *same_end]:
        return f"did you mean '{found[0]}'?"
    section = key.partition(".")[0]
    if inside := [candidate for candidate in keys if candidate.startswith(section + ".")]:
        return f"'{section}' has {', '.join(inside)}"
    sections = dict.fromkeys(candidate.partition(".")[0] for candidate in keys)
    return f"the sections are {', '.join(sections)}"
