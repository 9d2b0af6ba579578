"""Which IR to print while a pipeline runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ssft.compiler.passes.base import Pass
from ssft.dialects._mlir import PassManager, ir

Step = Pass | str | Callable[..., None]
"""What is added to the pass manager: a pass, text for MLIR, or a callable that prints."""


@dataclass(frozen=True)
class IRPrinting:
    """The ``--mlir-print-ir-*`` options; everything goes to stderr.

    `before` and `after` name single passes; `tree_dir` writes one file a pass instead.
    """

    before_all: bool = False
    after_all: bool = False
    after_change: bool = False
    after_failure: bool = False
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    module_scope: bool = False
    tree_dir: str | None = None
    debug_info: bool = False
    generic: bool = False
    elide_elements_larger: int | None = None

    def enable(self, manager: PassManager) -> None:
        """Switches on what the pass manager can do itself."""
        # For MLIR, "after change" and "after failure" restrict "after all".
        after = self.after_all or self.after_change or self.after_failure
        after |= bool(self.tree_dir and not self.before_all)
        if not (self.before_all or after):
            return
        manager.enable_ir_printing(
            print_before_all=self.before_all,
            print_after_all=after,
            print_after_change=self.after_change,
            print_after_failure=self.after_failure,
            print_module_scope=self.module_scope,
            enable_debug_info=self.debug_info,
            print_generic_op_form=self.generic,
            large_elements_limit=self.elide_elements_larger,
            tree_printing_dir_path=self.tree_dir,
        )

    def printer(self, when: str, name: str) -> Callable[..., None]:
        """Returns a pass manager callable that prints the IR under MLIR's kind of header."""

        def run(op: ir.Operation, control: object) -> None:
            text = op.operation.get_asm(
                enable_debug_info=self.debug_info,
                print_generic_op_form=self.generic,
                large_elements_limit=self.elide_elements_larger,
            )
            print(f"// -----// IR Dump {when} {name} //----- //\n{text}\n", file=sys.stderr)

        return run


def steps_with_printing(elements: Sequence[Pass | str], printing: IRPrinting | None) -> list[Step]:
    """Returns `elements` with printers around the passes that `printing` names.

    The bindings cannot filter by pass, hence these. A nest is taken apart where it must be.
    """
    if printing is None or not (printing.before or printing.after):
        return list(elements)
    steps: list[Step] = []
    for element in elements:
        for part in _atoms(element):
            name = part.argument if isinstance(part, Pass) else _innermost(part)
            if name in printing.before and not printing.before_all:
                steps.append(printing.printer("Before", name))
            steps.append(part)
            if name in printing.after and not printing.after_all:
                steps.append(printing.printer("After", name))
    return steps


def _atoms(element: Pass | str) -> list[Pass | str]:
    """Takes ``func.func(a,b)`` apart into ``func.func(a)`` and ``func.func(b)``."""
    from ssft.compiler.pipelines.text import split_elements

    nest = (
        re.fullmatch(r"([\w.]+)\((.*)\)", element, re.DOTALL) if isinstance(element, str) else None
    )
    if nest is None:
        return [element]
    parts = [part for inner in split_elements(nest[2]) for part in _atoms(inner)]
    return [f"{nest[1]}({part})" for part in parts]


def _innermost(element: str) -> str:
    """Returns the name of the one pass in ``func.func(a{x=1})``."""
    while nest := re.fullmatch(r"[\w.]+\((.*)\)", element, re.DOTALL):
        element = nest[1]
    return element.partition("{")[0]
