"""What the axis analysis says: axes, their members, and the layout of every argument's dimensions.

Nothing here holds a handle to the IR, apart from `AxisAnalysis.dimension_of`, which looks values up
while the analysed module is alive and unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class Pin:
    """Why an axis may not be permuted: a reason, in how many operations, and where first."""

    reason: str
    count: int
    location: str


@dataclass(frozen=True)
class Member:
    """One occurrence of an axis in a dimension of an argument of the step.

    `path` leads through the dimension's layout: segment, factor, and so on alternately.
    `text` is the same for people: ``"layers.0.q_proj.weight.0[factor 0 of 4x16]"``.
    """

    argument: int
    dimension: int
    path: tuple[int, ...]
    text: str = field(compare=False, default="")


@dataclass(frozen=True)
class Axis:
    """An index set of `size` indices that all its members share: they are permuted alike or not.

    `id` numbers the axes in the order in which the arguments show them; `notes` say what a
    permutation changes though it is legal (rounding).
    """

    id: int
    size: int
    pins: tuple[Pin, ...] = ()
    members: tuple[Member, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in reports and in ``ssft.permutations``: ``"a12"``."""
        return f"a{self.id}"

    @property
    def is_free(self) -> bool:
        """True where every permutation of the axis leaves the step function unchanged."""
        return not self.pins

    def arguments(self) -> list[int]:
        """Returns the numbers of the arguments that carry this axis, ascending."""
        return sorted({member.argument for member in self.members})

    def __str__(self) -> str:
        if self.pins:
            reasons = ", ".join(f"{pin.reason} (x{pin.count})" for pin in self.pins)
            state = f"PINNED: {reasons}"
        else:
            state = "FREE" + "".join(f"; {note}" for note in self.notes)
        members = ", ".join(member.text for member in self.members)
        return f"axis {self.name} size {self.size} members: {members} {state}"


@dataclass(frozen=True)
class DimensionLayout:
    """A dimension as a concatenation of `segments`, each a product of factors, major first.

    A factor is an `Axis`, or a layout of several segments where a concatenated dimension is the
    minor part of a product. A segment of one index is an empty product.
    """

    segments: tuple[tuple[Factor, ...], ...]

    @property
    def size(self) -> int:
        """Number of indices."""
        return sum(prod(factor.size for factor in segment) for segment in self.segments)

    def axes(self) -> Iterator[tuple[tuple[int, ...], Axis]]:
        """Iterates over (path, axis), in order, with repeats."""
        for s, segment in enumerate(self.segments):
            for f, factor in enumerate(segment):
                if isinstance(factor, Axis):
                    yield (s, f), factor
                else:
                    for path, axis in factor.axes():
                        yield (s, f, *path), axis

    def text(self, names: Mapping[int, str]) -> str:
        """Returns the layout in the notation of ``ssft.permuted``, e.g. ``"a1*16 + 64"``.

        `names` maps ids of axes to names; other axes appear as their sizes, and what has no name
        in it as one number.
        """
        if not any(axis.id in names for _, axis in self.axes()):
            return str(self.size)
        parts: list[str] = []
        plain = 0
        for segment in self.segments:
            text = _segment_text(segment, names)
            if isinstance(text, int):
                plain += text
                continue
            parts += [str(plain)] * bool(plain) + [text]
            plain = 0
        return " + ".join(parts + [str(plain)] * bool(plain))

    def __str__(self) -> str:
        """Sizes only: ``"4x16 + 64"``."""
        return " + ".join(
            "x".join(str(f.size) if isinstance(f, Axis) else f"({f})" for f in segment) or "1"
            for segment in self.segments
        )


Factor = Axis | DimensionLayout
"""A factor of a product."""


def _segment_text(factors: Sequence[Factor], names: Mapping[int, str]) -> str | int:
    """Returns the text of a product, or its size where no factor has a name."""
    if not any(axis.id in names for _, axis in DimensionLayout((tuple(factors),)).axes()):
        return prod(factor.size for factor in factors)
    texts = [
        names.get(factor.id, factor.size) if isinstance(factor, Axis) else factor.text(names)
        for factor in factors
    ]
    return "*".join(f"({text})" if "+" in str(text) else str(text) for text in texts)


@dataclass(frozen=True)
class AxisAnalysis:
    """The axes of one step function.

    `unknown` counts the operations, by name, for which the analysis has no rule and which
    therefore pin what they touch.
    """

    axes: tuple[Axis, ...]
    dimensions: tuple[tuple[DimensionLayout, ...], ...]
    unknown: Mapping[str, int]
    _lookup: Callable[[ir.Value, int], DimensionLayout] = field(repr=False, compare=False)

    @property
    def free_axes(self) -> tuple[Axis, ...]:
        """Axes that may be permuted."""
        return tuple(axis for axis in self.axes if axis.is_free)

    def dimension(self, argument: int, dim: int) -> DimensionLayout:
        """Returns the layout of dimension `dim` of an argument of the step."""
        return self.dimensions[argument][dim]

    def dimension_of(self, value: ir.Value, dim: int) -> DimensionLayout:
        """Returns the layout of a dimension of a value inside the step.

        Only while the analysed module is alive and unchanged since the analysis: values are
        recognised by identity. Axes that no argument carries have negative ids.

        Raises:
            KeyError: the value is not one of the step's block.
        """
        return self._lookup(value, dim)

    def report(self) -> list[str]:
        """Returns one readable line per axis, and one per kind of operation without a rule."""
        return [str(axis) for axis in self.axes] + [
            f"no rule for {name} (x{count}): what it touches is pinned"
            for name, count in sorted(self.unknown.items())
        ]
