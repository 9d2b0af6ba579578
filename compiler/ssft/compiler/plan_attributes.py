"""Writes the ``ssft.*`` attributes that `ssft.compiler.plan_schema` reads."""

from __future__ import annotations

from collections.abc import Mapping

from ssft.compiler.analysis.step import i64, index_list
from ssft.compiler.plan_schema import Mask, Permutation, Tile
from ssft.dialects._mlir import ir


def mask_attribute(mask: Mask) -> ir.DictAttr:
    """Returns ``{rows = …, columns = …, combine = "…"}`` without what is all."""
    entries = _index_lists(mask.rows, mask.columns)
    return ir.DictAttr.get(entries | {"combine": ir.StringAttr.get(mask.combine)})


def tile_attribute(tile: Tile) -> ir.DictAttr:
    """Returns ``{rows = …, columns = …}`` without what is all."""
    return ir.DictAttr.get(_index_lists(tile.rows, tile.columns))


def permutations_attribute(permutations: Mapping[str, Permutation]) -> ir.DictAttr:
    """Returns ``{axis = {size = …, front = …}, …}``."""
    return ir.DictAttr.get(
        {
            name: ir.DictAttr.get(
                {"size": i64(permutation.size), "front": index_list(permutation.front)}
            )
            for name, permutation in permutations.items()
        }
    )


def string_list(values: tuple[str, ...]) -> ir.ArrayAttr:
    """Returns an array of strings."""
    return ir.ArrayAttr.get([ir.StringAttr.get(value) for value in values])


def _index_lists(
    rows: tuple[int, ...] | None, columns: tuple[int, ...] | None
) -> dict[str, ir.Attribute]:
    entries: dict[str, ir.Attribute] = {}
    if rows is not None:
        entries["rows"] = index_list(rows)
    if columns is not None:
        entries["columns"] = index_list(columns)
    return entries
