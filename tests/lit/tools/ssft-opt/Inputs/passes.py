"""Passes that misbehave on request, for the tests of ssft-opt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


def functions(module: ir.Operation) -> list[ir.Operation]:
    return [op.operation for op in module.regions[0].blocks[0].operations]


@dataclass(frozen=True)
class TestCountPass(Pass):
    """Counts functions and remarks on each.

    Only the first line is shown by --help.
    """

    argument: ClassVar[str] = "test-count"
    word: str = field(default="counted", metadata={"help": "what to remark"})
    weight: int = field(default=1, metadata={"help": "how much a function counts"})
    scale_by: float = 1.0
    loud: bool = False

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for function in functions(module):
            context.statistics["functions"] += int(self.weight * self.scale_by)
            context.remark(function, self.word + ("!" if self.loud else ""))


@dataclass(frozen=True)
class TestFailPass(Pass):
    """Rejects every function, with a note."""

    argument: ClassVar[str] = "test-fail"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for function in functions(module):
            context.error(function, f"'{function.name}' op is not wanted", "delete it")


@dataclass(frozen=True)
class TestEmitPass(Pass):
    """Emits an error and forgets to fail."""

    argument: ClassVar[str] = "test-emit"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        module.location.emit_error("emitted only")


@dataclass(frozen=True)
class TestRaisePass(Pass):
    """Has a bug."""

    argument: ClassVar[str] = "test-raise"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        raise ZeroDivisionError("a bug")


@dataclass(frozen=True)
class TestBreakPass(Pass):
    """Leaves IR that is not valid."""

    argument: ClassVar[str] = "test-break"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        nullary = ir.FunctionType.get([], [], context=module.context)
        for function in functions(module):
            function.attributes["function_type"] = ir.TypeAttr.get(nullary, module.context)
