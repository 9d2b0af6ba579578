"""Random small steps: a few operations on a few tensors, connected in all sorts of ways.

What is drawn: element-wise code with operands that are permuted, broadcast or picked by position;
sums and maxima over any loops; contractions of permuted operands; transposes, slices with strides,
reshapes, concatenations and insertions; gathers by lists, scatters, updates in place. Every value
may be used several times, and results are picked from everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

MOST_ELEMENTS = 6000
EXTENTS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 17, 24, 32, 40)


@dataclass(frozen=True)
class Value:
    """A tensor of the step; `bound` on lists of positions: all are below it."""

    name: str
    shape: tuple[int, ...]
    element: str = "f32"
    bound: int = 0

    @property
    def type(self) -> str:
        """The MLIR type."""
        return tensor(self.shape, self.element)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass
class RandomStep:
    """The text of a step, and arrays for its arguments."""

    text: str
    arguments: list[np.ndarray]

    def __repr__(self) -> str:
        return self.text


def tensor(shape: Sequence[int], element: str) -> str:
    """A tensor type."""
    return f"tensor<{''.join(f'{extent}x' for extent in shape)}{element}>"


def _map(loops: int, results: Sequence[int | None]) -> str:
    domain = ", ".join(f"d{n}" for n in range(loops))
    found = ", ".join("0" if loop is None else f"d{loop}" for loop in results)
    return f"affine_map<({domain}) -> ({found})>"


@st.composite
def random_steps(draw: st.DrawFn, most: int = 9) -> RandomStep:
    """Steps of up to `most` operations, each of them legal."""
    builder = _Builder(draw)
    for _ in range(draw(st.integers(1, 3))):
        builder.argument(builder.shape())
    for _ in range(draw(st.integers(1, most))):
        builder.operation()
    return builder.finish()


@dataclass
class _Builder:
    draw: st.DrawFn
    lines: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    parameters: list[Value] = field(default_factory=list)
    signature: list[Value] = field(default_factory=list)
    arguments: list[np.ndarray] = field(default_factory=list)
    extents: list[int] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        extents = st.lists(st.sampled_from(EXTENTS), min_size=2, max_size=4, unique=True)
        self.extents = self.draw(extents)
        self.random = np.random.default_rng(self.draw(st.integers(0, 999)))

    # Drawing

    def one_of(self, choices: Sequence):
        """One of several things."""
        return self.draw(st.sampled_from(list(choices)))

    def maybe(self, often: int = 2) -> bool:
        """True once in `often` times."""
        return self.draw(st.integers(1, often)) == 1

    def shape(self, least: int = 0) -> tuple[int, ...]:
        """A shape of the step's extents."""
        rank = self.draw(st.integers(max(least, 1), 3)) if not self.maybe(12) or least else 0
        found: list[int] = []
        for _ in range(rank):
            fitting = [e for e in self.extents if math.prod(found) * e <= MOST_ELEMENTS]
            found.append(self.one_of(fitting or [1]))
        return tuple(found)

    def value(self, fits: Callable[[Value], bool] = lambda value: True) -> Value | None:
        """A tensor of numbers that `fits`; the latest are more likely."""
        found = [v for v in self.values if v.element == "f32" and fits(v)]
        if not found:
            return None
        return found[-1] if self.maybe(3) else self.one_of(found)

    def fresh(self, shape: Sequence[int], element: str = "f32", bound: int = 0) -> Value:
        """A new name."""
        self.count += 1
        return Value(f"%v{self.count}", tuple(shape), element, bound)

    # Sources

    def argument(self, shape: Sequence[int]) -> Value:
        """A new argument with random numbers."""
        value = Value(f"%a{len(self.signature)}", tuple(shape))
        self.signature.append(value)
        self.parameters.append(value)
        self.values.append(value)
        self.arguments.append(self.random.standard_normal(shape).astype(np.float32))
        return value

    def positions(self, count: int, bound: int, distinct: bool) -> Value:
        """A list of positions below `bound`: an argument, or a constant."""
        numbers = (
            self.random.permutation(bound)[:count]
            if distinct
            else self.random.integers(0, bound, count)
        ).astype(np.int64)
        if self.maybe(3):
            value = self.fresh((count,), "i64", bound)
            text = ", ".join(map(str, numbers))
            self.emit(value, f"arith.constant dense<[{text}]> : {value.type}")
            return value
        value = Value(f"%a{len(self.signature)}", (count,), "i64", bound)
        self.signature.append(value)
        self.arguments.append(numbers)
        return value

    def emit(self, value: Value, text: str) -> Value:
        """Appends an operation that makes `value`."""
        self.lines.append(f"  {value.name} = {text}")
        if value.element == "f32":
            self.values.append(value)
        return value

    def filled(self, shape: Sequence[int], number: float, offer: bool = False) -> Value:
        """A tensor of one number."""
        self.count += 1
        type_, name = tensor(shape, "f32"), f"%v{self.count}"
        self.lines += [
            f"  {name}c = arith.constant {number!r} : f32",
            f"  {name}e = tensor.empty() : {type_}",
            f"  {name} = linalg.fill ins({name}c : f32) outs({name}e : {type_}) -> {type_}",
        ]
        value = Value(name, tuple(shape))
        if offer:
            self.values.append(value)
        return value

    # Operations

    def operation(self) -> None:
        """One more operation."""
        kinds = [
            *[self.elementwise] * 4,
            *[self.reduction] * 3,
            *[self.contraction] * 3,
            *[self.transpose, self.slice, self.insert, self.concat, self.collapse, self.expand],
            *[self.gather, self.look_up, self.pad, self.constant, self.scatter_add, self.save],
        ]
        self.one_of(kinds)()

    def accesses(self, value: Value, domain: list[int]) -> list[int | None] | None:
        """Loops for the dimensions of `value`, no loop twice; None if they do not match."""
        found: list[int | None] = []
        for extent in value.shape:
            fitting = [d for d, e in enumerate(domain) if e == extent and d not in found]
            if extent == 1 and (not fitting or self.maybe()):
                found.append(None)
            elif fitting:
                found.append(self.one_of(fitting))
            else:
                return None
        return found

    def operands(self, domain: list[int], most: int) -> list[tuple[Value, list[int | None]]]:
        """Tensors that can be read in a domain."""
        found = []
        for _ in range(self.draw(st.integers(0, most))):
            value = self.value()
            loops = None if value is None else self.accesses(value, domain)
            if value is not None and loops is not None:
                found.append((value, loops))
        return found

    def generic(
        self,
        domain: list[int],
        reads: Sequence[tuple[Value, Sequence[int | None]]],
        outputs: Sequence[tuple[Value, Value]],
        written: Sequence[int],
        body: Sequence[str],
        yielded: Sequence[str],
    ) -> list[Value]:
        """Appends a ``linalg.generic``; `outputs` are (what it starts from, result)."""
        maps = [_map(len(domain), loops) for _, loops in reads]
        maps += [_map(len(domain), written)] * len(outputs)
        kinds = ", ".join(
            '"parallel"' if d in written else '"reduction"' for d in range(len(domain))
        )
        arguments = [f"%x{n}: f32" for n in range(len(reads))]
        arguments += [f"%o{n}: f32" for n in range(len(outputs))]
        types = ", ".join(result.type for _, result in outputs)
        name = outputs[0][1].name
        if len(outputs) > 1:
            name = f"{name}r"
        inputs = ", ".join(v.name for v, _ in reads) + " : " + ", ".join(v.type for v, _ in reads)
        starts = ", ".join(start.name for start, _ in outputs)
        self.lines += [
            f"  {name}{f':{len(outputs)}' if len(outputs) > 1 else ''} = linalg.generic "
            f"{{indexing_maps = [{', '.join(maps)}], "
            f"iterator_types = [{kinds}]}}",
            f"      {f'ins({inputs}) ' if reads else ''}outs({starts} : {types}) {{",
            f"    ^bb0({', '.join(arguments)}):",
            *(f"      {line}" for line in body),
            f"      linalg.yield {', '.join(yielded)} : {', '.join('f32' for _ in yielded)}",
            f"    }} -> {types if len(outputs) == 1 else f'({types})'}",
        ]
        if len(outputs) == 1:
            self.values.append(outputs[0][1])
            return [outputs[0][1]]
        found = [Value(f"{name}#{n}", r.shape) for n, (_, r) in enumerate(outputs)]
        self.values += found
        return found

    def code(self, registers: list[str], lines: list[str], domain: list[int]) -> str:
        """Appends scalar code to `lines`; returns the register of its result."""
        if not registers or self.maybe(5):
            self.count += 1
            name = f"%k{self.count}"
            if domain and self.maybe():
                loop = self.draw(st.integers(0, len(domain) - 1))
                lines += [
                    f"{name}i = linalg.index {loop} : index",
                    f"{name}j = arith.index_cast {name}i : index to i64",
                    f"{name} = arith.sitofp {name}j : i64 to f32",
                ]
            else:
                number = self.one_of([0.5, -1.0, 0.25])
                lines.append(f"{name} = arith.constant {number!r} : f32")
            registers.append(name)
        for _ in range(self.draw(st.integers(0, 3))):
            self.count += 1
            name = f"%s{self.count}"
            kind = self.one_of(["addf", "subf", "mulf", "maximumf", "negf", "tanh", "select"])
            one, other = self.one_of(registers), self.one_of(registers)
            if kind == "negf":
                lines.append(f"{name} = arith.negf {one} : f32")
            elif kind == "tanh":
                lines.append(f"{name} = math.tanh {one} : f32")
            elif kind == "select":
                lines.append(f"{name}c = arith.cmpf olt, {one}, {other} : f32")
                lines.append(f"{name} = arith.select {name}c, {other}, {one} : f32")
            else:
                lines.append(f"{name} = arith.{kind} {one}, {other} : f32")
            registers.append(name)
        return registers[-1]

    def domain(self, least: int = 1) -> list[int]:
        """Loops: those of a tensor in some order, and perhaps another one."""
        value = self.value(lambda v: len(v.shape) >= least)
        if value is None:
            return list(self.shape(least))
        found = list(self.draw(st.permutations(value.shape)))
        extent = self.one_of(self.extents)
        if self.maybe(3) and len(found) < 4 and math.prod(found) * extent <= MOST_ELEMENTS:
            found.insert(self.draw(st.integers(0, len(found))), extent)
        return found

    def elementwise(self) -> None:
        """One result or two, laid out in any order of the loops."""
        domain = self.domain(least=0)
        reads = self.operands(domain, 3)
        order = list(range(len(domain)))
        written = order if self.maybe() else list(self.draw(st.permutations(order)))
        shape = [domain[d] for d in written]
        body: list[str] = []
        registers = [f"%x{n}" for n in range(len(reads))]
        outputs, yielded = [], []
        for number in range(1 if not self.maybe(4) else 2):
            start = self.value(lambda v: v.shape == tuple(shape)) if self.maybe(6) else None
            if start is not None:
                registers.append(f"%o{number}")
            yielded.append(self.code(registers, body, domain))
            outputs.append((start or self.filled(shape, 0.0), self.fresh(shape)))
        self.generic(domain, reads, outputs, written, body, yielded)

    def reduction(self) -> None:
        """Sums, maxima, or something that only works one after the other."""
        domain = self.domain()
        loops = list(range(len(domain)))
        reads = self.operands(domain, 2)
        kept = [d for d in loops if self.maybe()]
        if len(kept) == len(loops):
            kept.pop(self.draw(st.integers(0, len(kept) - 1)))
        # A loop must be bounded by an operand: one tensor runs over all of them.
        whole = self.value(lambda v: v.shape == tuple(domain))
        reads.append((whole or self.filled(domain, 0.75), list(loops)))
        written = list(self.draw(st.permutations(kept)))
        shape = [domain[d] for d in written]
        body: list[str] = []
        outputs, yielded = [], []
        for number in range(1 if not self.maybe(4) else 2):
            term = self.code([f"%x{n}" for n in range(len(reads))], body, domain)
            kind = self.one_of(["addf", "addf", "maximumf", "decay"])
            self.count += 1
            name, out = f"%t{self.count}", f"%o{number}"
            if kind == "decay":
                body.append(f"{name}h = arith.constant 0.5 : f32")
                body.append(f"{name}d = arith.mulf {out}, {name}h : f32")
                out, kind = f"{name}d", "addf"
            terms = (term, out) if self.maybe() else (out, term)
            body.append(f"{name} = arith.{kind} {terms[0]}, {terms[1]} : f32")
            start = self.value(lambda v: v.shape == tuple(shape)) if self.maybe(4) else None
            outputs.append((start or self.filled(shape, 0.0), self.fresh(shape)))
            yielded.append(name)
        self.generic(domain, reads, outputs, written, body, yielded)

    def contraction(self) -> None:
        """Loops in any order, several of a kind."""
        left = self.value(lambda v: len(v.shape) > 0)
        right = self.value(lambda v: len(v.shape) > 0)
        if left is None or right is None:
            return
        domain, of_left = list(left.shape), list(range(len(left.shape)))
        of_right: list[int] = []
        for extent in right.shape:
            same = [d for d in of_left if domain[d] == extent and d not in of_right]
            if same and not self.maybe(4):
                of_right.append(self.one_of(same))
            else:
                of_right.append(len(domain))
                domain.append(extent)
        shared = [d for d in of_right if d in of_left]
        summed = [d for d in shared if self.maybe()] or shared[:1]
        if not summed or math.prod(domain) > 4 * MOST_ELEMENTS:
            return
        kept = [d for d in range(len(domain)) if d not in summed]
        order = list(self.draw(st.permutations(range(len(domain)))))
        place = {d: order.index(d) for d in range(len(domain))}
        written = list(self.draw(st.permutations(kept)))
        shape = [domain[d] for d in written]
        if math.prod(shape) > MOST_ELEMENTS:
            return
        start = self.value(lambda v: v.shape == tuple(shape)) if self.maybe(4) else None
        self.generic(
            [domain[d] for d in order],
            [(left, [place[d] for d in of_left]), (right, [place[d] for d in of_right])],
            [(start or self.filled(shape, 0.0), self.fresh(shape))],
            [place[d] for d in written],
            ["%p = arith.mulf %x0, %x1 : f32", "%q = arith.addf %o0, %p : f32"],
            ["%q"],
        )

    def transpose(self) -> None:
        value = self.value(lambda v: len(v.shape) > 1)
        if value is None:
            return
        order = list(self.draw(st.permutations(range(len(value.shape)))))
        result = self.fresh([value.shape[d] for d in order])
        self.count += 1
        name = f"%e{self.count}"
        self.lines.append(f"  {name} = tensor.empty() : {result.type}")
        self.emit(
            result,
            f"linalg.transpose ins({value.name} : {value.type}) "
            f"outs({name} : {result.type}) permutation = {order}",
        )

    def box(self, value: Value) -> tuple[list[int], list[int], list[int]]:
        """Offsets, sizes and steps within a tensor."""
        offsets, sizes, steps = [], [], []
        for extent in value.shape:
            if self.maybe():
                offsets.append(0), sizes.append(extent), steps.append(1)
                continue
            step = self.one_of([1, 1, 2])
            size = self.draw(st.integers(1, -(-extent // step)))
            if any(e <= -(-extent // step) for e in self.extents) and self.maybe():
                size = self.one_of([e for e in self.extents if e <= -(-extent // step)])
            last = extent - (size - 1) * step - 1
            offsets.append(self.draw(st.integers(0, last)))
            sizes.append(size), steps.append(step)
        return offsets, sizes, steps

    def slice(self) -> None:
        value = self.value(lambda v: len(v.shape) > 0)
        if value is None:
            return
        offsets, sizes, steps = self.box(value)
        shape = [size for size in sizes if size > 1] if self.maybe(4) else sizes
        result = self.fresh(shape)
        text = f"tensor.extract_slice {value.name}{offsets} {sizes} {steps}"
        self.emit(result, f"{text} : {value.type} to {result.type}")

    def insert(self) -> None:
        target = self.value(lambda v: len(v.shape) > 0)
        if target is None:
            return
        offsets, sizes, steps = self.box(target)
        source = self.value(lambda v: v.shape == tuple(sizes)) or self.filled(sizes, 0.125)
        result = self.fresh(target.shape)
        text = f"tensor.insert_slice {source.name} into {target.name}{offsets} {sizes} {steps}"
        self.emit(result, f"{text} : {source.type} into {target.type}")

    def concat(self) -> None:
        value = self.value(lambda v: len(v.shape) > 0)
        if value is None:
            return
        dim = self.draw(st.integers(0, len(value.shape) - 1))

        def fits(other: Value) -> bool:
            same = len(other.shape) == len(value.shape)
            return same and all(
                a == b or d == dim
                for d, (a, b) in enumerate(zip(other.shape, value.shape, strict=True))
            )

        parts = [value, *(self.value(fits) or value for _ in range(self.draw(st.integers(1, 2))))]
        shape = list(value.shape)
        shape[dim] = sum(part.shape[dim] for part in parts)
        if math.prod(shape) > MOST_ELEMENTS:
            return
        result = self.fresh(shape)
        names, types = (", ".join(t) for t in zip(*((p.name, p.type) for p in parts), strict=True))
        self.emit(result, f"tensor.concat dim({dim}) {names} : ({types}) -> {result.type}")

    def pad(self) -> None:
        value = self.value(lambda v: len(v.shape) > 0)
        if value is None:
            return
        low = [self.draw(st.integers(0, 2)) for _ in value.shape]
        high = [self.draw(st.integers(0, 2)) for _ in value.shape]
        shape = [a + b + e for a, b, e in zip(low, high, value.shape, strict=True)]
        if math.prod(shape) > MOST_ELEMENTS:
            return
        result = self.fresh(shape)
        arguments = ", ".join(f"%i{n}: index" for n in range(len(shape)))
        name = f"{result.name}c"
        self.lines.append(f"  {name} = arith.constant 0.375 : f32")
        self.emit(
            result,
            f"tensor.pad {value.name} low{low} high{high} {{\n    ^bb0({arguments}):\n"
            f"      tensor.yield {name} : f32\n    }} : {value.type} to {result.type}",
        )

    def collapse(self) -> None:
        value = self.value(lambda v: len(v.shape) > 1)
        if value is None:
            return
        at = self.draw(st.integers(0, len(value.shape) - 2))
        groups = [[d] for d in range(at)] + [[at, at + 1]]
        groups += [[d] for d in range(at + 2, len(value.shape))]
        result = self.fresh([math.prod(value.shape[d] for d in group) for group in groups])
        text = f"tensor.collapse_shape {value.name} {groups}"
        self.emit(result, f"{text} : {value.type} into {result.type}")

    def expand(self) -> None:
        value = self.value(lambda v: 0 < len(v.shape) < 4)
        if value is None:
            return
        at = self.draw(st.integers(0, len(value.shape) - 1))
        extent = value.shape[at]
        outer = self.one_of([e for e in range(1, extent + 1) if extent % e == 0])
        shape = [*value.shape[:at], outer, extent // outer, *value.shape[at + 1 :]]
        groups = [[d] for d in range(at)] + [[at, at + 1]]
        groups += [[d + 1] for d in range(at + 1, len(value.shape))]
        result = self.fresh(shape)
        text = f"tensor.expand_shape {value.name} {groups} output_shape {shape}"
        self.emit(result, f"{text} : {value.type} into {result.type}")

    def gather(self) -> None:
        value = self.value(lambda v: len(v.shape) > 0)
        if value is None:
            return
        dim = self.draw(st.integers(0, len(value.shape) - 1))
        extent = value.shape[dim]
        count = self.draw(st.integers(1, min(extent, 8)))
        index = self.positions(count, extent, distinct=False)
        shape = list(value.shape)
        shape[dim] = count
        result = self.fresh(shape)
        text = f'"ssft.gather"({value.name}, {index.name}) {{dim = {dim} : i64}}'
        self.emit(result, f"{text} : ({value.type}, {index.type}) -> {result.type}")

    def save(self) -> None:
        value = self.value(lambda v: len(v.shape) > 0)
        if value is None:
            return
        dim = self.draw(st.integers(0, len(value.shape) - 1))
        size = self.draw(st.integers(1, value.shape[dim]))
        offset = self.draw(st.integers(0, value.shape[dim] - size))
        shape = list(value.shape)
        shape[dim] = size
        result = self.fresh(shape)
        options = f"dim = {dim} : i64, offset = {offset} : i64, size = {size} : i64"
        text = f'"ssft.save_slice"({value.name}) {{{options}}}'
        self.emit(result, f"{text} : ({value.type}) -> {result.type}")

    def scatter_add(self) -> None:
        source = self.value(lambda v: len(v.shape) > 1)
        if source is None:
            return
        rows = self.one_of(self.extents)
        shape = (rows, *source.shape[1:])
        if math.prod(shape) > MOST_ELEMENTS:
            return
        target = self.value(lambda v: v.shape == shape) or self.filled(shape, 0.0)
        index = self.positions(source.shape[0], rows, distinct=False)
        result = self.fresh(shape)
        text = f'"ssft.scatter_add"({target.name}, {index.name}, {source.name}) {{dim = 0 : i64}}'
        types = f"({target.type}, {index.type}, {source.type})"
        self.emit(result, f"{text} : {types} -> {result.type}")

    def look_up(self) -> None:
        """Elements or rows of a tensor, at positions from a list and from loops."""
        table = self.value(lambda v: len(v.shape) > 0)
        if table is None:
            return
        count = self.one_of(self.extents)
        listed = self.draw(st.integers(0, len(table.shape) - 1)) if self.maybe() else 0
        index = self.positions(count, table.shape[listed], distinct=False)
        others = [d for d in range(len(table.shape)) if d != listed]
        domain = [count, *(table.shape[d] for d in others)]
        if math.prod(domain) > MOST_ELEMENTS:
            return
        self.count += 1
        result = self.fresh(domain)
        maps = f"[{_map(len(domain), [0])}, {_map(len(domain), range(len(domain)))}]"
        kinds = ", ".join(['"parallel"'] * len(domain))
        names = [f"%n{d}" for d in range(len(table.shape))]
        self.count += 1
        empty = f"%e{self.count}"
        self.lines.append(f"  {empty} = tensor.empty() : {result.type}")
        loops = [f"      %n{d} = linalg.index {n + 1} : index" for n, d in enumerate(others)]
        extra = self.maybe(3)
        body = [
            f"      %n{listed} = arith.index_cast %i : i64 to index",
            *loops,
            f"      %y = tensor.extract {table.name}[{', '.join(names)}] : {table.type}",
            *(["      %z = arith.addf %y, %y : f32"] if extra else []),
            f"      linalg.yield {'%z' if extra else '%y'} : f32",
        ]
        text = (
            f"linalg.generic {{indexing_maps = {maps}, iterator_types = [{kinds}]}}\n"
            f"      ins({index.name} : {index.type}) outs({empty} : {result.type}) {{\n"
            "    ^bb0(%i: i64, %o: f32):\n" + "\n".join(body) + f"\n    }} -> {result.type}"
        )
        self.emit(result, text)

    def constant(self) -> None:
        """A tensor of numbers in the plan itself, or of one number."""
        shape = self.shape(least=1)
        if self.maybe(3) or math.prod(shape) > 512:
            self.filled(shape, self.one_of([0.0, 0.5, -2.0]), offer=True)
            return
        value = self.fresh(shape)
        numbers = self.random.standard_normal(shape).astype(np.float32).astype(object)
        text = str(numbers.tolist())
        self.emit(value, f"arith.constant dense<{text}> : {value.type}")

    # Results

    def finish(self) -> RandomStep:
        """Picks results: values, and values that update arguments, some of them in place."""
        results: list[tuple[Value, str]] = []
        for number, parameter in enumerate(self.signature):
            if parameter in self.parameters and self.maybe():
                updated = self.update(parameter)
                if updated is not None:
                    results.append((updated, f"ssft.updates_arg = {number} : i64"))
        for _ in range(self.draw(st.integers(0 if results else 1, 3))):
            value = self.value()
            assert value is not None
            results.append((value, 'ssft.role = "metric", ssft.name = "value"'))
        results = list(self.draw(st.permutations(results)))
        arguments = ", ".join(
            f'{v.name}: {v.type} {{ssft.role = "input", ssft.name = "{v.name[1:]}"}}'
            for v in self.signature
        )
        types = ", ".join(f"{value.type} {{{attributes}}}" for value, attributes in results)
        names = ", ".join(value.name for value, _ in results)
        returned = ", ".join(value.type for value, _ in results)
        body = "\n".join([*self.lines, f"  return {names} : {returned}"])
        text = f"module {{\nfunc.func @step({arguments}) -> ({types}) {{\n{body}\n}}\n}}\n"
        return RandomStep(text, self.arguments)

    def update(self, parameter: Value) -> Value | None:
        """A new value for a parameter: of the same shape, or put together by writes into it."""
        if self.maybe(3) or not parameter.shape:
            return self.value(lambda v: v.shape == parameter.shape)
        current = parameter
        for _ in range(self.draw(st.integers(1, 2))):
            current = self.scattered(current) if self.maybe() else self.inserted(current)
            if self.maybe(4):
                self.operation()
        return current

    def stepped(self, slice_: Value) -> Value:
        """The slice, updated by an optimizer's rule with some gradient."""
        gradient = self.value(lambda v: v.shape == slice_.shape) or self.filled(slice_.shape, 0.5)
        result = self.fresh(slice_.shape)
        text = (
            f'"ssft.update"({slice_.name}, {gradient.name}) ({{\n    ^bb0(%w: f32, %g: f32):\n'
            "      %c = arith.constant 0.25 : f32\n      %d = arith.mulf %c, %g : f32\n"
            '      %n = arith.subf %w, %d : f32\n      "ssft.yield"(%n) : (f32) -> ()\n'
            "    }) {operandSegmentSizes = array<i32: 1, 0, 1>}"
        )
        return self.emit(result, f"{text} : ({slice_.type}, {gradient.type}) -> {result.type}")

    def scattered(self, target: Value) -> Value:
        dim = self.draw(st.integers(0, len(target.shape) - 1))
        extent = target.shape[dim]
        index = self.positions(self.draw(st.integers(1, min(extent, 8))), extent, distinct=True)
        shape = list(target.shape)
        shape[dim] = index.shape[0]
        slice_ = self.fresh(shape)
        text = f'"ssft.gather"({target.name}, {index.name}) {{dim = {dim} : i64}}'
        self.emit(slice_, f"{text} : ({target.type}, {index.type}) -> {slice_.type}")
        source = self.stepped(slice_)
        result = self.fresh(target.shape)
        text = f'"ssft.scatter"({target.name}, {index.name}, {source.name}) {{dim = {dim} : i64}}'
        types = f"({target.type}, {index.type}, {source.type})"
        return self.emit(result, f"{text} : {types} -> {result.type}")

    def inserted(self, target: Value) -> Value:
        offsets, sizes, steps = self.box(target)
        slice_ = self.fresh(sizes)
        text = f"tensor.extract_slice {target.name}{offsets} {sizes} {steps}"
        self.emit(slice_, f"{text} : {target.type} to {slice_.type}")
        source = self.stepped(slice_)
        result = self.fresh(target.shape)
        text = f"tensor.insert_slice {source.name} into {target.name}{offsets} {sizes} {steps}"
        return self.emit(result, f"{text} : {source.type} into {target.type}")
