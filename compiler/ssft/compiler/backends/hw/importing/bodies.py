"""Scalar code of ``linalg.generic`` and ``ssft.update`` bodies as micro-operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir
from ssft.hwmodel.isa import MicroOp
from ssft.hwmodel.isa.dtypes import DTYPES, DType

_CMPF = [
    "false",
    "oeq",
    "ogt",
    "oge",
    "olt",
    "ole",
    "one",
    "ord",
    "ueq",
    "ugt",
    "uge",
    "ult",
    "ule",
    "une",
    "uno",
    "true",
]
_CMPI = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]

UNARY_AND_BINARY = frozenset(
    [
        "arith.addf",
        "arith.subf",
        "arith.mulf",
        "arith.divf",
        "arith.negf",
        "arith.remf",
        "arith.maximumf",
        "arith.minimumf",
        "arith.maxnumf",
        "arith.minnumf",
        "arith.addi",
        "arith.subi",
        "arith.muli",
        "arith.divsi",
        "arith.divui",
        "arith.remsi",
        "arith.remui",
        "arith.andi",
        "arith.ori",
        "arith.xori",
        "arith.shli",
        "arith.shrsi",
        "arith.shrui",
        "arith.maxsi",
        "arith.minsi",
        "arith.maxui",
        "arith.minui",
        "arith.select",
        "arith.extf",
        "arith.truncf",
        "arith.extsi",
        "arith.extui",
        "arith.trunci",
        "arith.sitofp",
        "arith.uitofp",
        "arith.fptosi",
        "arith.fptoui",
        "arith.index_cast",
        "arith.index_castui",
        "arith.bitcast",
        "math.absf",
        "math.sqrt",
        "math.rsqrt",
        "math.exp",
        "math.exp2",
        "math.expm1",
        "math.log",
        "math.log1p",
        "math.log2",
        "math.sin",
        "math.cos",
        "math.tan",
        "math.tanh",
        "math.erf",
        "math.powf",
        "math.fpowi",
        "math.floor",
        "math.ceil",
        "math.roundeven",
        "math.round",
    ]
)
"""Operations that become the micro-operation of the same name."""


def element_type(type_: ir.Type) -> DType:
    """The machine's element type for a scalar or tensor type; `UserError` if it has none."""
    text = str(ir.RankedTensorType(type_).element_type if _is_tensor(type_) else type_)
    if text == "index":
        return "i64"
    for dtype in DTYPES:
        if dtype == text:
            return dtype
    raise UserError(
        f"the accelerator has no element type '{text}'",
        notes=[f"its element types are {', '.join(DTYPES)}"],
    )


def _is_tensor(type_: ir.Type) -> bool:
    return isinstance(type_, ir.RankedTensorType)


def constant_number(op: ir.Operation) -> int | float:
    """The number of a scalar ``arith.constant``."""
    attribute = op.attributes["value"]
    if isinstance(attribute, ir.BoolAttr):
        return int(attribute.value)
    return attribute.value  # type: ignore[no-any-return,attr-defined]


class BodyWriter:
    """Writes the micro-operations of one body.

    `registers` maps values to register numbers; `next_register` is the first free one. Values from
    outside that are constants, or computed from constants, are computed where they stand.
    """

    def __init__(self, first_register: int) -> None:
        self.registers: dict[ir.Value, int] = {}
        self.code: list[MicroOp] = []
        self._first = first_register

    def emit(self, micro_op: MicroOp) -> int:
        """Appends an operation and returns its register."""
        self.code.append(micro_op)
        return self._first + len(self.code) - 1

    def constant(self, number: int | float, dtype: DType) -> int:
        """A register that holds `number`."""
        return self.emit(MicroOp("constant", (), dtype, number))

    def value(self, value: ir.Value) -> int:
        """The register of `value`."""
        if value not in self.registers:
            owner = value.owner
            if isinstance(owner, ir.Block):
                raise KeyError(f"no register for {value}")
            self.write(owner.operation)
        return self.registers[value]

    def write(self, op: ir.Operation) -> None:
        """Appends a scalar operation of ``arith`` or ``math``."""
        dtype = element_type(op.results[0].type)
        name = op.name.partition(".")[2]
        if op.name == "arith.constant":
            register = self.constant(constant_number(op), dtype)
        elif op.name in ("arith.cmpf", "arith.cmpi"):
            names = _CMPF if name == "cmpf" else _CMPI
            predicate = names[ir.IntegerAttr(op.attributes["predicate"]).value]
            register = self.emit(MicroOp(name, self._operands(op), dtype, predicate))
        elif op.name == "math.absi":
            (number,) = self._operands(op)
            zero = self.constant(0, dtype)
            negative = self.emit(MicroOp("subi", (zero, number), dtype))
            register = self.emit(MicroOp("maxsi", (number, negative), dtype))
        elif op.name in UNARY_AND_BINARY:
            if name == "index_castui":
                name = "extui"
            register = self.emit(MicroOp(name, self._operands(op), dtype))
        else:
            raise UserError(f"the accelerator's vector unit has no operation '{op.name}'")
        self.registers[op.results[0]] = register

    def _operands(self, op: ir.Operation) -> tuple[int, ...]:
        return tuple(self.value(operand) for operand in op.operands)

    def write_block(
        self, block: ir.Block, special: dict[str, Callable[[ir.Operation], int]]
    ) -> list[int]:
        """Appends a block's operations; returns the registers that its terminator yields.

        `special` writes operations that depend on where the body stands, by name.
        """
        *body, terminator = [op.operation for op in block.operations]
        for op in body:
            if op.name in special:
                self.registers[op.results[0]] = special[op.name](op)
            else:
                self.write(op)
        return [self.value(operand) for operand in terminator.operands]


def captured_values(block: ir.Block) -> list[ir.Value]:
    """Values from outside `block` that its operations use, in order of first use."""
    inside: set[ir.Value] = set(block.arguments)
    found: dict[ir.Value, None] = {}
    for op in block.operations:
        for operand in op.operation.operands:
            if operand not in inside:
                found[operand] = None
        inside.update(op.operation.results)
    return list(found)


def is_constant(value: ir.Value) -> bool:
    """Whether a scalar is a constant or computed from constants alone."""
    owner = value.owner
    if isinstance(owner, ir.Block):
        return False
    op = owner.operation
    if op.name == "arith.constant":
        return not _is_tensor(value.type)
    return op.name in UNARY_AND_BINARY and all(is_constant(operand) for operand in op.operands)


def uses_register(code: Sequence[MicroOp], results: Sequence[int], register: int) -> bool:
    """Whether any operation or result reads `register`."""
    return register in results or any(register in op.operands for op in code)
