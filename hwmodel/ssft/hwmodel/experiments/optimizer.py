"""Micro-programs of the update: AdamW on packed elements, and picking elements of a gradient."""

from __future__ import annotations

from ssft.hwmodel.isa import Access, MicroOp, MicroProgram, Nest, Slot

LEARNING_RATE, BETA1, BETA2, EPSILON, DECAY = 1e-3, 0.9, 0.999, 1e-8, 0.01


def adamw(elements: int) -> MicroProgram:
    """AdamW on `elements` elements; operands: weight, gradient, first and second moment.

    Bias correction, a factor of the learning rate and of epsilon, is left out.
    """
    slots = tuple(Slot("f32", elements, access) for access in ("inout", "in", "inout", "inout"))
    code = _Code(4)
    w, g, m, v = range(4)
    m = code("addf", code("mulf", m, code(BETA1)), code("mulf", g, code(1 - BETA1)))
    square = code("mulf", g, g)
    v = code("addf", code("mulf", v, code(BETA2)), code("mulf", square, code(1 - BETA2)))
    step = code("divf", m, code("addf", code("sqrt", v), code(EPSILON)))
    kept = code("mulf", w, code(1 - LEARNING_RATE * DECAY))
    w = code("subf", kept, code("mulf", step, code(LEARNING_RATE)))
    nest = Nest(
        extents=(elements,),
        reduction=(False,),
        inputs=(Access(1, 0, (1,)),),
        outputs=tuple(Access(slot, 0, (1,)) for slot in (0, 2, 3)),
        code=code.renumbered({0: 1, 1: 0, 2: 2, 3: 3}),
        results=(w, m, v),
    )
    return MicroProgram("adamw", slots, (nest,))


def pick(elements: int, source: int) -> MicroProgram:
    """``out[i] = gradient[index[i]]``; operands: the gradient, the list, the result."""
    slots = (Slot("f32", source, "in"), Slot("i64", elements, "in"), Slot("f32", elements, "out"))
    nest = Nest(
        extents=(elements,),
        reduction=(False,),
        inputs=(Access(1, 0, (1,)),),
        outputs=(Access(2, 0, (1,)),),
        code=(MicroOp("extract", (0,), "f32", 0),),
        results=(2,),
    )
    return MicroProgram("pick", slots, (nest,))


class _Code:
    """Straight-line f32 code; calling it appends an operation, or a constant."""

    def __init__(self, registers: int) -> None:
        self.first = registers
        self.ops: list[MicroOp] = []

    def __call__(self, name: str | float, *operands: int) -> int:
        if isinstance(name, float):
            self.ops.append(MicroOp("constant", (), "f32", name))
        else:
            self.ops.append(MicroOp(str(name), operands, "f32"))
        return self.first + len(self.ops) - 1

    def renumbered(self, registers: dict[int, int]) -> tuple[MicroOp, ...]:
        """The code, with the first registers called otherwise."""
        return tuple(
            MicroOp(op.name, tuple(registers.get(r, r) for r in op.operands), op.dtype,
                    op.immediate)
            for op in self.ops
        )  # fmt: skip
