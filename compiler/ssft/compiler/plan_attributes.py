"""Writes the ``ssft.*`` attributes that `ssft.compiler.plan_schema` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.step import i64, index_list
from ssft.compiler.plan_schema import Mask, Permutation, Tile
from ssft.compiler.tiles import PlacedTile
from ssft.dialects._mlir import ir


def mask_attribute(mask: Mask) -> ir.DictAttr:
    """Returns ``{rows = …, columns = …, combine = "…"}`` without what is all.

    A mask of rectangles has ``rectangles = [{rows = …, columns = …}, …]`` instead.
    """
    entries: dict[str, ir.Attribute] = {"combine": ir.StringAttr.get(mask.combine)}
    if mask.combine == "rectangles":
        entries["rectangles"] = ir.ArrayAttr.get([tile_attribute(t) for t in mask.rectangles])
    return ir.DictAttr.get(entries | _index_lists(mask))


def tile_attribute(tile: Tile) -> ir.DictAttr:
    """Returns ``{rows = …, columns = …}`` without what is all."""
    return ir.DictAttr.get(_index_lists(tile))


def slice_attributes(
    permuted: Sequence[str] | None, tile: PlacedTile, shape: Sequence[int]
) -> dict[str, ir.Attribute]:
    """Returns ``ssft.tile``, and ``ssft.permuted`` where a whole dimension is stored permuted.

    A dimension of which the tile lists the indices needs no layout: the list is in stored order.
    """
    attributes: dict[str, ir.Attribute] = {"ssft.tile": tile_attribute(tile.original)}
    if permuted:
        texts = tuple(
            text if selector is None else str(size)
            for text, selector, size in zip(
                permuted, tile.selectors, tile.shape(shape), strict=True
            )
        )
        if any(not text.isdecimal() for text in texts):
            attributes["ssft.permuted"] = string_list(texts)
    return attributes


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


def _index_lists(record: Mask | Tile) -> dict[str, ir.Attribute]:
    entries: dict[str, ir.Attribute] = {}
    for key, indices in (("rows", record.rows), ("columns", record.columns)):
        if indices is not None:
            entries[key] = index_list(indices)
    for key, name in (("row_list", record.row_list), ("column_list", record.column_list)):
        if name is not None:
            entries[key] = ir.StringAttr.get(name)
    return entries
