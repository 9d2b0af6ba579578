"""A nest compiled to array operations over its whole iteration space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import MicroOp, Nest, Slot
from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.errors import OutOfBoundsError
from ssft.hwmodel.machine.footprints import Footprint
from ssft.hwmodel.machine.nest_analysis import NestAnalysis
from ssft.hwmodel.machine.operations import compile_operation, constant
from ssft.hwmodel.machine.slot_views import SlotView, as_rank, check_access, elements

Function = Callable[..., NDArray]


@dataclass(frozen=True, slots=True)
class Step:
    """An operation on registers: ``registers[target] = function(*registers[operands])``."""

    function: Function
    operands: tuple[int, ...]
    target: int


@dataclass(slots=True)
class Binding:
    """A nest's operands in memory, and those slots that ``extract`` reads."""

    bus: Bus
    inputs: list[SlotView]
    outputs: list[SlotView]
    slots: dict[int, SlotView]
    origin: int = 0


def with_rank(nest: Nest) -> Nest:
    """The nest, with a dimension of extent 1 if it has none: registers have at least one axis."""
    if nest.extents:
        return nest
    return replace(
        nest,
        extents=(1,),
        reduction=(False,),
        origins=(),
        inputs=tuple(replace(access, strides=(0,)) for access in nest.inputs),
        outputs=tuple(replace(access, strides=(0,)) for access in nest.outputs),
    )


class NestProgram:
    """A nest with its code compiled. `dtypes` are the types of all registers."""

    def __init__(self, nest: Nest, slots: tuple[Slot, ...]) -> None:
        self.nest = nest = with_rank(nest)
        self.rank = len(nest.extents)
        if len(nest.reduction) != self.rank or len(nest.origins) not in (0, self.rank):
            raise MachineError("a micro-program's nest describes dimensions that it does not have")
        if not elements(nest) or len(nest.results) != len(nest.outputs):
            raise MachineError("a micro-program's nest has no iterations, or a result too few")
        for access in (*nest.inputs, *nest.outputs):
            check_access(nest, access, slots, write=access in nest.outputs)
        self.analysis = NestAnalysis(nest)
        self.dtypes: list[DType] = [slots[a.slot].dtype for a in (*nest.inputs, *nest.outputs)]
        self.steps: list[Step] = []
        self.fixed: dict[int, NDArray] = {}
        self.indices: dict[int, int] = {}
        self.extracts: dict[int, int] = {}
        for op in nest.code:
            self._add(op, slots)
        self.initial = self._initial()
        for access, result in zip(nest.outputs, nest.results, strict=True):
            if self.dtypes[result] != slots[access.slot].dtype:
                raise MachineError(
                    f"a micro-program stores {self.dtypes[result]} to slot {access.slot} of "
                    f"{slots[access.slot].dtype}"
                )

    def _add(self, op: MicroOp, slots: tuple[Slot, ...]) -> None:
        target = len(self.dtypes)
        operands: tuple[DType, ...] = tuple(self.dtypes[register] for register in op.operands)
        self.dtypes.append(op.dtype)
        if op.name == "constant":
            self.fixed[target] = as_rank(constant(op.immediate, op.dtype), self.rank)
        elif op.name == "index":
            if op.dtype != "i64" or op.immediate not in range(self.rank):
                raise MachineError(f"a micro-program asks for index {op.immediate!r}")
            self.indices[target] = int(op.immediate)  # type: ignore[arg-type]
        elif op.name == "extract":
            number = int(op.immediate)  # type: ignore[arg-type]
            if operands != ("i64",) or not 0 <= number < len(slots):
                raise MachineError(f"a micro-program extracts from slot {number} by {operands}")
            if slots[number].dtype != op.dtype:
                raise MachineError(f"a micro-program extracts {op.dtype} from slot {number}")
            self.extracts[target] = number
            self.steps.append(Step(np.take, op.operands, target))
        else:
            self.steps.append(Step(compile_operation(op, operands), op.operands, target))

    def _initial(self) -> list[NDArray | None]:
        """The number that each output starts from, where that is not what is stored."""
        first = self.analysis.first_current
        return [
            None
            if access.initial is None
            else as_rank(constant(access.initial, self.dtypes[first + number]), self.rank)
            for number, access in enumerate(self.nest.outputs)
        ]

    def index(self, dimension: int, origin: int) -> NDArray[np.int64]:
        """The iteration numbers of a dimension, counted in the whole operation."""
        divisor, modulus = self.nest.origins[dimension] if self.nest.origins else (1, 1)
        shape = [1] * self.rank
        shape[dimension] = self.nest.extents[dimension]
        first = (origin // divisor) % modulus
        return np.arange(first, first + shape[dimension], dtype=np.int64).reshape(shape)

    def evaluate(self, step: Step, registers: list[NDArray], binding: Binding) -> NDArray:
        """The value of an operation."""
        operands = [registers[register] for register in step.operands]
        number = self.extracts.get(step.target)
        if number is None:
            return step.function(*operands)
        return self._extract(binding, number, operands[0])

    def _extract(self, binding: Binding, number: int, positions: NDArray) -> NDArray:
        """Elements of a whole slot; `slots` binds it as one dimension."""
        view, bus = binding.slots[number], binding.bus
        count = view.shape[0]
        outside = (positions < 0) | (positions >= count)
        if outside.any():
            raise OutOfBoundsError(
                f"extracts element {positions[outside].flat[0]} of slot {number}, which has {count}"
            )
        size = view.data.itemsize
        bus.check(view.memory, view.base, Footprint.listed(np.unique(positions) * size, size))
        values = view.data[positions]
        return values != 0 if view.dtype == "i1" else _widen(values, view.dtype)


def _widen(values: NDArray, dtype: DType) -> NDArray:
    return (values.astype(np.uint32) << 16).view(np.float32) if dtype == "bf16" else values
