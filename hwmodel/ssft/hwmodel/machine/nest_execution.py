"""Runs a compiled nest: everything at once, but for accumulators that must be carried."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.machine.nest_analysis import Output
from ssft.hwmodel.machine.nest_program import Binding, NestProgram
from ssft.hwmodel.machine.reductions import fold, grouped_sum
from ssft.hwmodel.machine.rounding import COMPUTE

_Selection = tuple[slice, ...]


def run_nest(program: NestProgram, binding: Binding) -> None:
    """Loads, computes and stores; nothing is stored before everything is computed."""
    values = _Execution(program, binding).run()
    if len(values) > 1:
        # A value may be a view of memory that another output is about to overwrite.
        values = [value.copy() if value.base is not None else value for value in values]
    for view, value in zip(binding.outputs, values, strict=True):
        view.store(value)


class _Execution:
    def __init__(self, program: NestProgram, binding: Binding) -> None:
        self.program = program
        self.analysis = program.analysis
        self.binding = binding
        # The accumulators that are carried, by the register of their current value.
        self.states: dict[int, NDArray] = {}
        self.registers: list[NDArray] = [np.empty(0)] * len(program.dtypes)

    def run(self) -> list[NDArray]:
        """The final values of all outputs."""
        self._load()
        carried = self.analysis.carried
        steps = self.program.steps
        combines = {
            self.analysis.first_code + output.combine
            for output in self.analysis.outputs
            if output.combine is not None
        }
        for step in steps:
            if step.target not in carried and step.target not in combines:
                value = self.program.evaluate(step, self.registers, self.binding)
                self.registers[step.target] = value
        if self.analysis.sequential:
            self._carry([s for s in steps if s.target in carried and s.target not in combines])
        return [self._finish(number, output) for number, output in enumerate(self.analysis.outputs)]

    def _load(self) -> None:
        program, registers = self.program, self.registers
        for number, view in enumerate(self.binding.inputs):
            registers[number] = view.load(self.binding.bus)
        for number, output in enumerate(self.analysis.outputs):
            used = self.analysis.current_is_used(number)
            if not used and output.kind != "step":
                continue
            register = self.analysis.first_current + number
            view, initial = self.binding.outputs[number], program.initial[number]
            if initial is not None:
                registers[register] = np.broadcast_to(initial, view.shape)
            elif used:
                registers[register] = view.load(self.binding.bus)
            else:
                registers[register] = np.zeros(view.shape, COMPUTE[program.dtypes[register]])
            if output.kind == "step":
                self.states[register] = registers[register].copy()
        for register, value in program.fixed.items():
            registers[register] = value
        for register, dimension in program.indices.items():
            registers[register] = program.index(dimension, self.binding.origin)

    def _selection(self, shape: tuple[int, ...], position: tuple[int, ...]) -> _Selection:
        """The part of a register that belongs to a position of the sequential dimensions."""
        chosen = [slice(None)] * len(shape)
        for dimension, value in zip(self.analysis.sequential, position, strict=True):
            if shape[dimension] > 1:
                chosen[dimension] = slice(value, value + 1)
        return tuple(chosen)

    def _carry(self, steps: list) -> None:
        """Goes through the sequential dimensions, row-major, with whole arrays of the others."""
        analysis = self.analysis
        kept = {o.value for o in analysis.outputs if o.kind != "step"} & analysis.carried
        wholes = {register: np.empty(0) for register in kept}
        carriers = [
            (analysis.first_current + number, output.value)
            for number, output in enumerate(analysis.outputs)
            if output.kind == "step"
        ]
        needed = {register for step in steps for register in step.operands} | kept
        needed |= {register for carrier in carriers for register in carrier}
        sources = {r: self.registers[r] for r in needed if r not in analysis.carried}
        sources |= self.states
        local = list(self.registers)
        extents = (range(self.program.nest.extents[d]) for d in analysis.sequential)
        for position in itertools.product(*extents):
            for register, source in sources.items():
                local[register] = source[self._selection(source.shape, position)]
            for step in steps:
                local[step.target] = self.program.evaluate(step, local, self.binding)
            for register in kept:
                wholes[register] = self._keep(wholes[register], local[register], position)
            # A result may be the current value of another accumulator: read all, then write.
            values = [np.array(local[value]) for _, value in carriers]
            for (current, _), value in zip(carriers, values, strict=True):
                state = self.states[current]
                state[self._selection(state.shape, position)] = value
        for register, whole in wholes.items():
            self.registers[register] = whole

    def _keep(self, whole: NDArray, part: NDArray, position: tuple[int, ...]) -> NDArray:
        """Collects a register's values at all positions of the sequential dimensions."""
        extents = self.program.nest.extents
        if not whole.size:
            shape = list(part.shape)
            for dimension in self.analysis.sequential:
                shape[dimension] = extents[dimension]
            whole = np.empty(shape, part.dtype)
        whole[self._selection(whole.shape, position)] = part
        return whole

    def _finish(self, number: int, output: Output) -> NDArray:
        """An output's final value, in the shape of its view or one that spreads to it."""
        if output.kind == "store":
            return self.registers[output.value]
        register = self.analysis.first_current + number
        if output.kind == "step":
            return self.states[register]
        assert output.combine is not None
        terms = self._terms(self.registers[output.value], output.reduced)
        start = self.registers[register].squeeze(output.reduced)
        combine = self._combine(output)
        reduced = (grouped_sum if output.kind == "sum" else fold)(terms, start, combine)
        return np.expand_dims(reduced, output.reduced)

    def _combine(self, output: Output):  # type: ignore[no-untyped-def]
        """The reducing operation as a function of (accumulator, term), in their order."""
        assert output.combine is not None
        register = self.analysis.first_code + output.combine
        return next(step.function for step in self.program.steps if step.target == register)

    def _terms(self, values: NDArray, reduced: tuple[int, ...]) -> NDArray:
        """Terms with the reduced dimensions in front, as one axis, row-major."""
        shape = list(values.shape)
        for dimension in reduced:
            shape[dimension] = self.program.nest.extents[dimension]
        full = np.broadcast_to(values, shape)
        front = np.moveaxis(full, reduced, range(len(reduced)))
        return front.reshape(-1, *front.shape[len(reduced) :])
