"""Which index sets are one and the same, and how they are put together: the algebra of axes.

A **node** is a finite index set on which a permutation acts. It is a *variable* (any permutation),
a `Product` of nodes, major first (a reshape), or a `Sum` of nodes (a concatenation). Claims that
two nodes are permuted alike come in through `AxisForest.unify`; it finds the largest set of
permutations for which all claims hold, by unification over terms: variables are bound, split into
products where a reshape demands it and cut into sums where a boundary falls inside them.

A variable that is **pinned** admits only the identity, whatever its structure, so pinned variables
are never split: whatever is unified with one becomes pinned as a whole. That keeps sequences and
vocabularies, which are sliced and shifted a great deal, in one piece.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import NamedTuple

SEGMENT_LIMIT = 256
"""One unification cuts at most this often; a shift along an axis would else cut it into ones."""

Site = int
"""Where a claim comes from: the number of an operation in program order."""


class Product(NamedTuple):
    """Index ``(i0 * size1 + i1) * size2 + …`` of a reshape; factors major first."""

    factors: tuple[int, ...]


class Sum(NamedTuple):
    """Index sets one after the other, as in a concatenation."""

    parts: tuple[int, ...]


class AxisForest:
    """Nodes, their identities (a union-find with structure) and what pins them."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._size: list[int] = []
        self._form: dict[int, Product | Sum] = {}
        self._pins: dict[int, dict[str, set[Site]]] = {}
        self._pinned_with: dict[int, list[int]] = {}
        self._notes: dict[int, Counter[str]] = {}
        self.site: Site = 0
        """Where the claims that follow come from."""

    # Building nodes.

    def new(self, size: int) -> int:
        """Returns a fresh variable of `size` indices."""
        self._parent.append(len(self._parent))
        self._size.append(size)
        return len(self._parent) - 1

    def product(self, factors: Iterable[int]) -> int:
        """Returns the product of `factors` (major first); factors of size 1 vanish."""
        kept = tuple(f for f in factors if self._size[f] != 1)
        if len(kept) == 1:
            return kept[0]
        node = self.new(prod(self._size[f] for f in kept))
        if kept:
            self._form[node] = Product(kept)
        return node

    def sum(self, parts: Iterable[int]) -> int:
        """Returns the concatenation of `parts`; empty parts vanish."""
        kept = tuple(p for p in parts if self._size[p] != 0)
        if len(kept) == 1:
            return kept[0]
        node = self.new(sum(self._size[p] for p in kept))
        if kept:
            self._form[node] = Sum(kept)
        return node

    # Reading.

    def find(self, node: int) -> int:
        """Returns the representative of the class of `node`."""
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def size(self, node: int) -> int:
        """Number of indices of `node`."""
        return self._size[node]

    def is_variable(self, node: int) -> bool:
        """True where the class of `node` has no structure."""
        return self.find(node) not in self._form

    def factors(self, node: int) -> list[int]:
        """Returns `node` as a product, major first, of variables and sums; [] for size 1."""
        return self._flat([node])

    def segments(self, factors: Sequence[int]) -> list[list[int]]:
        """Returns the product of `factors` as a concatenation of products of variables.

        A sum distributes over the product only where it is the major factor, so later factors of
        a segment may still be sums. A segment of one index is the empty list.
        """
        flat = self._flat(factors)
        form = self._form.get(flat[0]) if flat else None
        if not isinstance(form, Sum):
            return [flat]
        return [segment for p in form.parts for segment in self.segments([p, *flat[1:]])]

    def leaves(self, node: int) -> Iterator[int]:
        """Iterates over the variables that `node` is made of (size 1 included, with repeats)."""
        root = self.find(node)
        form = self._form.get(root)
        if form is None:
            yield root
            return
        for child in form.factors if isinstance(form, Product) else form.parts:
            yield from self.leaves(child)

    def is_pinned(self, node: int) -> bool:
        """True where no index of `node` may move."""
        if self._size[node] == 1:
            return True
        root = self.find(node)
        form = self._form.get(root)
        if form is None:
            return root in self._pins or root in self._pinned_with
        children = form.factors if isinstance(form, Product) else form.parts
        return all(self.is_pinned(child) for child in children)

    def pin_sites(self, variable: int) -> dict[str, set[Site]]:
        """Returns the reasons why `variable` is pinned, each with the places that gave it."""
        reasons: dict[str, set[Site]] = {}
        seen: set[int] = set()
        pending = [variable]
        while pending:
            root = self.find(pending.pop())
            if root in seen:
                continue
            seen.add(root)
            for reason, sites in self._pins.get(root, {}).items():
                reasons.setdefault(reason, set()).update(sites)
            pending += self._pinned_with.get(root, ())
        return reasons

    def notes(self, variable: int) -> Counter[str]:
        """Returns what `note` recorded for `variable`, with counts."""
        return self._notes.get(self.find(variable), Counter())

    # Claims.

    def pin(self, node: int, reason: str) -> None:
        """Claims that no index of `node` may move."""
        for leaf in self.leaves(node):
            if self._size[leaf] != 1:
                self._pins.setdefault(leaf, {}).setdefault(reason, set()).add(self.site)

    def note(self, node: int, text: str) -> None:
        """Records `text` for every variable of `node`; it restricts nothing."""
        for leaf in self.leaves(node):
            self._notes.setdefault(leaf, Counter())[text] += 1

    def unify(self, a: int, b: int) -> None:
        """Claims that `a` and `b`, of one size, are permuted alike."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        if self._size[a] != self._size[b]:
            raise ValueError(f"index sets of sizes {self._size[a]} and {self._size[b]} unified")
        if self._size[a] == 1:
            return
        if a not in self._form and b not in self._form:
            self._merge(a, b)
        elif self.is_pinned(a):
            self._pin_alike(a, b)
        elif self.is_pinned(b):
            self._pin_alike(b, a)
        elif a not in self._form:
            self._bind(a, b)
        elif b not in self._form:
            self._bind(b, a)
        else:
            self._align([[a]], [[b]])
            a, b = self.find(a), self.find(b)
            if a != b:
                self._parent[b] = a
                self._form.pop(b, None)

    # How unification works.

    def _merge(self, a: int, b: int) -> None:
        """Makes two variables one; the smaller set of records moves."""
        if len(self._pins.get(a, ())) < len(self._pins.get(b, ())):
            a, b = b, a
        self._parent[b] = a
        for reason, sites in self._pins.pop(b, {}).items():
            mine = self._pins.setdefault(a, {})
            small, large = sorted((mine.get(reason, set()), sites), key=len)
            large |= small
            mine[reason] = large
        if b in self._pinned_with:
            self._pinned_with.setdefault(a, []).extend(self._pinned_with.pop(b))
        if b in self._notes:
            self._notes.setdefault(a, Counter()).update(self._notes.pop(b))

    def _pin_alike(self, pinned: int, other: int) -> None:
        """Pins all of `other` for the reasons that pin `pinned`, and makes them one node.

        The identity needs no structure: the variable, where there is one, stays.
        """
        # Refer to variables, not to `pinned`: a pinned variable keeps its reasons for good, while
        # a structured node may yet be replaced by another of the same class.
        sources = list({leaf for leaf in self.leaves(pinned) if self._size[leaf] != 1})
        if not sources:
            self.pin(other, "cut into single indices")
        elif other in self._form:
            for leaf in self.leaves(other):
                if not self.is_pinned(leaf):
                    self._pinned_with.setdefault(leaf, []).extend(sources)
        else:
            self._pinned_with.setdefault(other, []).extend(sources)
        if other not in self._form:
            pinned, other = other, pinned
        self._parent[other] = pinned
        del self._form[other]

    def _bind(self, variable: int, term: int) -> None:
        """Gives an unpinned variable the structure of `term`."""
        self._parent[variable] = term
        for text, count in self._notes.pop(variable, Counter()).items():
            for leaf in self.leaves(term):
                self._notes.setdefault(leaf, Counter())[text] += count

    def _flat(self, nodes: Sequence[int]) -> list[int]:
        out: list[int] = []
        for node in nodes:
            root = self.find(node)
            form = self._form.get(root)
            if isinstance(form, Product):
                out += self._flat(form.factors)
            elif self._size[root] != 1:
                out.append(root)
        return out

    def _extent(self, factors: Sequence[int]) -> int:
        return prod(self._size[f] for f in factors)

    def _align(self, a: list[list[int]], b: list[list[int]]) -> None:
        """Unifies two concatenations of products, cutting each where the other has a boundary."""
        a, b = a[::-1], b[::-1]
        for _ in range(SEGMENT_LIMIT):
            if not a:
                return
            # Earlier steps may have bound variables in here, so bring the heads to normal form.
            a += reversed(self.segments(a.pop()))
            b += reversed(self.segments(b.pop()))
            head_a, head_b = a.pop(), b.pop()
            size_a, size_b = self._extent(head_a), self._extent(head_b)
            if size_a < size_b:
                left, right = self._cut(head_b, size_a)
                a.append(head_a)
                b += reversed(left + right)
            elif size_b < size_a:
                left, right = self._cut(head_a, size_b)
                a += reversed(left + right)
                b.append(head_b)
            else:
                self._align_products(head_a, head_b)
        for factors in a + b:
            self._pin_factors(factors, f"cut into more than {SEGMENT_LIMIT} segments")

    def _align_products(self, a: list[int], b: list[int]) -> None:
        """Unifies two products of one size from the minor end, splitting factors that divide."""
        while True:
            a, b = self._flat(a), self._flat(b)
            if not a or not b:
                return
            x, y = a.pop(), b.pop()
            m, n = self._size[x], self._size[y]
            if m == n:
                self.unify(x, y)
            elif n % m == 0:
                b.append(self._split_minor(y, x))
            elif m % n == 0:
                a.append(self._split_minor(x, y))
            else:
                self._pin_factors([*a, *b, x, y], "misaligned reshape")
                return

    def _split_minor(self, node: int, minor: int) -> int:
        """Claims that `node` is a product whose minor factor is `minor`; returns the major one."""
        major = self.new(self._size[node] // self._size[minor])
        self.unify(node, self.product([major, minor]))
        return major

    def _pin_factors(self, factors: Sequence[int], reason: str) -> None:
        for factor in factors:
            self.pin(factor, reason)

    def _cut(self, segment: list[int], at: int) -> tuple[list[list[int]], list[list[int]]]:
        """Cuts a segment in normal form before index `at`; returns the two concatenations."""
        first, rest = segment[0], segment[1:]
        rows, inside = divmod(at, self._extent(rest))
        count = self._size[first]
        if not inside:
            upper, lower = self._halve(first, [rows, count - rows])
            return [[upper, *rest]], [[lower, *rest]]
        # The boundary falls inside one row: that row is cut, and with it every row alike.
        sizes = [rows, 1, count - rows - 1]
        parts = iter(self._halve(first, [n for n in sizes if n]))
        above = [[next(parts), *rest]] if rows else []
        next(parts)
        below = [[next(parts), *rest]] if sizes[2] else []
        left, right = self._cut_all(self.segments(rest), inside)
        return above + left, right + below

    def _cut_all(
        self, segments: list[list[int]], at: int
    ) -> tuple[list[list[int]], list[list[int]]]:
        left: list[list[int]] = []
        for position, segment in enumerate(segments):
            extent = self._extent(segment)
            if at >= extent:
                left.append(segment)
                at -= extent
                continue
            if not at:
                return left, segments[position:]
            upper, lower = self._cut(segment, at)
            return left + upper, lower + segments[position + 1 :]
        return left, []

    def _halve(self, variable: int, sizes: list[int]) -> list[int]:
        """Cuts a variable into parts; the parts of a pinned one are pinned with it."""
        parts = [self.new(size) for size in sizes]
        if self.is_pinned(variable):
            for part in parts:
                self._pinned_with[part] = [variable]
        else:
            self._bind(variable, self.sum(parts))
        return parts
