"""The short text form of explicit masks: ``NAME[:rows=LIST][:columns=LIST][:union]``.

LIST joins indices and inclusive ranges by ``+``: ``0-3+9`` is 0, 1, 2, 3, 9. There are no commas
or spaces in it, so that it can stand in a textual pass pipeline.
"""

from __future__ import annotations

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import Mask

_SYNTAX = "write NAME[:rows=LIST][:columns=LIST][:union] with lists such as 0-3+9"

# Indices are listed one by one before the parameter's shape is known.
_LONGEST = 1 << 24


def parse_mask(text: str) -> tuple[str, Mask]:
    """Returns the parameter's name (or pattern) and the mask."""
    name, *parts = text.split(":")
    lists: dict[str, tuple[int, ...]] = {}
    combine = "intersection"
    for part in parts:
        key, equals, value = part.partition("=")
        if key in ("rows", "columns") and equals and key not in lists:
            lists[key] = _indices(value, text)
        elif part in ("union", "intersection"):
            combine = part
        else:
            raise UserError(f"mask '{text}': unexpected '{part}'", notes=[_SYNTAX])
    if not name:
        raise UserError(f"mask '{text}' names no parameter", notes=[_SYNTAX])
    if combine == "union" and len(lists) != 2:
        raise UserError(f"mask '{text}': a union needs rows and columns", notes=[_SYNTAX])
    return name, Mask(lists.get("rows"), lists.get("columns"), combine)


def _indices(text: str, mask: str) -> tuple[int, ...]:
    chosen: set[int] = set()
    for item in text.split("+"):
        first, dash, last = item.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"mask '{mask}': '{item}' is no index or range", notes=[_SYNTAX])
        stop = int(last) if dash else int(first)
        if stop < int(first):
            raise UserError(f"mask '{mask}': range '{item}' is empty", notes=[_SYNTAX])
        if stop >= _LONGEST:
            raise UserError(f"mask '{mask}': no parameter has an index {stop}", notes=[_SYNTAX])
        chosen.update(range(int(first), stop + 1))
    return tuple(sorted(chosen))


def check_in_range(name: str, mask: Mask, shape: tuple[int, ...]) -> None:
    """Raises a `UserError` unless `mask` fits a parameter of `shape`."""
    for part in (mask, *mask.rectangles):
        _check_in_range(name, part.rows, part.columns, shape)


def _check_in_range(
    name: str,
    rows: tuple[int, ...] | None,
    columns: tuple[int, ...] | None,
    shape: tuple[int, ...],
) -> None:
    for rank, what, indices in ((1, "rows", rows), (2, "columns", columns)):
        if indices is not None and len(shape) < rank:
            raise UserError(
                f"mask of '{name}' has {what}, but the parameter has {len(shape)} dimension(s)",
                notes=["mask its rows, or train it entirely" if shape else "train it entirely"],
            )
    for what, indices, size in zip(("row", "column"), (rows, columns), shape, strict=False):
        outside = [index for index in indices or () if not 0 <= index < size]
        if outside:
            raise UserError(
                f"mask of '{name}': {what} {outside[0]} is out of range for shape "
                f"{'x'.join(map(str, shape))}",
                notes=[f"{what}s go from 0 to {size - 1}"],
            )
