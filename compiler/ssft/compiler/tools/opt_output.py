"""What `ssft-opt` prints: modules, diagnostics with their source lines, statistics."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from ssft.compiler.pipelines.collect import Diagnostic
from ssft.compiler.tools.opt_arguments import Arguments
from ssft.compiler.tools.opt_input import Chunk, parse
from ssft.dialects._mlir import ir

_LEVELS = {"errors": ("error",), "warnings": ("error", "warning")}


def module_bytes(op: ir.Operation, arguments: Arguments) -> bytes:
    """Returns `op` as the command line asks for it."""
    if arguments.emit_bytecode:
        buffer = io.BytesIO()
        op.write_bytecode(buffer)
        return buffer.getvalue()
    text = op.get_asm(
        enable_debug_info=arguments.mlir_print_debuginfo or arguments.mlir_pretty_debuginfo,
        pretty_debug_info=arguments.mlir_pretty_debuginfo,
        print_generic_op_form=arguments.mlir_print_op_generic,
        use_local_scope=arguments.mlir_print_local_scope,
        skip_regions=arguments.mlir_print_skip_regions,
        large_elements_limit=arguments.mlir_elide_elementsattrs_if_larger,
        large_resource_limit=arguments.mlir_elide_resource_strings_if_larger,
    )
    return (text.rstrip("\n") + "\n").encode()


def roundtrip_problem(op: ir.Operation, new_context: Callable[[], ir.Context]) -> str | None:
    """Returns which form of `op` does not survive printing and parsing, or `None`.

    `new_context` makes a context like that of `op`.
    """
    buffer = io.BytesIO()
    op.write_bytecode(buffer)
    forms = {
        "custom form": op.get_asm(enable_debug_info=True),
        "generic form": op.get_asm(enable_debug_info=True, print_generic_op_form=True),
        "bytecode": buffer.getvalue(),
    }
    expected = op.get_asm(enable_debug_info=True)
    for form, data in forms.items():
        try:
            again = parse(Chunk("<roundtrip>", data), new_context())
        except ir.MLIRError as error:
            return f"{form} cannot be parsed again: {error}"
        if again.operation.get_asm(enable_debug_info=True) != expected:
            return f"{form} is different after parsing it again"
    return None


def render(diagnostics: Iterable[Diagnostic], chunk: Chunk, level: str = "remarks") -> str:
    """Returns diagnostics as clang and mlir-opt show them: place, message, line, caret."""
    source = chunk.data.split("\n") if isinstance(chunk.data, str) else []
    shown = [d for d in diagnostics if d.severity in _LEVELS.get(level, (d.severity,))]
    parts = []
    for diagnostic in (inner for outer in shown for inner in outer.flat()):
        place = diagnostic.location
        parts.append(f"{place}: {diagnostic.severity}: {diagnostic.message}\n")
        if place.file == chunk.name and 0 < place.line <= len(source):
            line = source[place.line - 1]
            margin = "".join("\t" if c == "\t" else " " for c in line[: max(place.column - 1, 0)])
            parts.append(f"{line}\n{margin}^\n")
    return "".join(parts)


def render_statistics(statistics: Mapping[str, Counter[str]]) -> str:
    """Returns what our passes counted, in the form of MLIR's report."""
    parts = []
    for name, counters in statistics.items():
        parts.append(f"{name}\n")
        width = max((len(str(count)) for count in counters.values()), default=0)
        for counter, count in sorted(counters.items()):
            parts.append(f"  (S) {count:>{width}} {counter}\n")
    return "".join(parts)
