"""From the operations of a step to a list of functions on numbered values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.backends.interpreter.formats import Arithmetic, Unsupported
from ssft.compiler.backends.interpreter.loops import Kernel
from ssft.compiler.backends.interpreter.scalars import scalar_function
from ssft.compiler.backends.interpreter.slices import SSFT_RULES
from ssft.compiler.backends.interpreter.structured import compile_structured
from ssft.compiler.backends.interpreter.tensors import GENERATING_RULES, TENSOR_RULES
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class Instruction:
    """Values `results` become what `function` computes from values `operands`.

    `last` are the values that nobody needs afterwards.
    """

    name: str
    location: str
    function: Callable[..., Sequence[Any]]
    operands: tuple[int, ...]
    results: tuple[int, ...]
    last: tuple[int, ...] = ()


@dataclass
class Code:
    """A step: values are numbered, first the arguments; `constants` are known beforehand."""

    instructions: list[Instruction]
    results: tuple[int, ...]
    constants: dict[int, Any] = field(default_factory=dict)


def translate(step: ir.Operation, arithmetic: Arithmetic) -> Code:
    """Translates the operations of ``@step``. Keeps no handle of the IR.

    Raises:
        UserError: there are operations without a rule; the message names them all.
    """
    numbers: dict[ir.Value, int] = {
        value: n for n, value in enumerate(step_ir.body(step).arguments)
    }
    instructions: list[Instruction] = []
    constants: dict[int, Any] = {}
    missing: Counter[str] = Counter()
    for op in step_ir.operations(step):
        if op.name == "func.return":
            continue
        results = tuple(numbers.setdefault(value, len(numbers)) for value in op.results)
        try:
            kernel = _kernel(op, arithmetic)
        except Unsupported as reason:
            missing[op.name if str(reason) == op.name else f"{op.name} ({reason})"] += 1
            continue
        if op.name == "arith.constant":
            constants[results[0]] = kernel.function()[0]
            continue
        operands = tuple(numbers[value] for value in [*op.operands, *kernel.captured])
        location = str(op.location)
        instructions.append(Instruction(op.name, location, kernel.function, operands, results))
    if missing:
        raise UserError(
            "the interpreter has no rule for "
            + ", ".join(f"'{name}' ({count} times)" for name, count in sorted(missing.items())),
            notes=["rules are in ssft/compiler/backends/interpreter"],
        )
    returned = tuple(numbers[value] for value in step_ir.terminator(step).operands)
    return Code(_with_last_uses(instructions, {*returned, *constants}), returned, constants)


def _kernel(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    if op.name in TENSOR_RULES:
        return TENSOR_RULES[op.name](op)
    if op.name in GENERATING_RULES:
        return GENERATING_RULES[op.name](op, arithmetic)
    if op.name in SSFT_RULES:
        return SSFT_RULES[op.name](op, arithmetic)
    if op.name.startswith("linalg."):
        return compile_structured(op, arithmetic)
    if op.name.startswith(("arith.", "math.")):
        function = scalar_function(op, exact=arithmetic != "native")
        return Kernel(lambda *operands: [np.asarray(function(*operands))])
    raise Unsupported(op.name)


def _with_last_uses(instructions: list[Instruction], kept: Iterable[int]) -> list[Instruction]:
    seen, found = set(kept), []
    for step in reversed(instructions):
        last = tuple(n for n in dict.fromkeys((*step.operands, *step.results)) if n not in seen)
        seen.update(last)
        found.append(
            Instruction(step.name, step.location, step.function, step.operands, step.results, last)
        )
    return found[::-1]
