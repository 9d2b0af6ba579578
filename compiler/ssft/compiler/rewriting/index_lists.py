"""Index lists as arguments of the step: which rows and columns train is data, not code."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.masks import Tile, complement
from ssft.compiler.rewriting.signature import Argument
from ssft.compiler.rewriting.slices import Selectors, bind
from ssft.compiler.tiles import PlacedTile
from ssft.dialects._mlir import ir


class IndexLists:
    """The index lists that masks name, each one argument however many masks name it.

    Their values are arguments of the block of `step` at once; the signature follows when it is
    rebuilt from `inserted`.
    """

    def __init__(self, step: ir.Operation) -> None:
        self.values: dict[str, ir.Value] = {}
        self._step = step
        self._attributes: dict[str, dict[str, ir.Attribute]] = {}

    def add(self, tile: Tile, shape: Sequence[int]) -> None:
        """Adds the lists that `tile` of a parameter of `shape` names, unless they are there."""
        for (indices, name), extent in zip(tile.sides, shape, strict=False):
            if name is None or indices is None or name in self.values:
                continue
            i64 = ir.IntegerType.get_signless(64)
            type_ = ir.RankedTensorType.get([len(indices)], i64)
            self.values[name] = step_ir.body(self._step).add_argument(type_, self._step.location)
            self._attributes[name] = {
                "ssft.role": ir.StringAttr.get("index"),
                "ssft.name": ir.StringAttr.get(name),
                "ssft.range": step_ir.index_list((0, extent)),
                "ssft.indices": step_ir.index_list(indices),
            }
            chosen = name.removesuffix(complement(""))
            if chosen != name:
                self._attributes[name]["ssft.complement"] = ir.StringAttr.get(chosen)

    def bind(self, tile: PlacedTile) -> Selectors:
        """The selectors of `tile` with its index lists as values."""
        return bind(tile.selectors, self.values)

    def inserted(self, arguments: Sequence[Argument]) -> list[Argument]:
        """`arguments` with the index lists before the batch."""
        first = next(
            (
                number
                for number, argument in enumerate(arguments)
                if step_ir.text(argument.attributes, "ssft.role") == "input"
            ),
            len(arguments),
        )
        lists = [Argument(value, self._attributes[name]) for name, value in self.values.items()]
        return [*arguments[:first], *lists, *arguments[first:]]
