"""The command line of `ssft-opt`.

LLVM tools accept options with one dash or two, values after ``=`` or (for some) as the next word,
and a flag for every pass, in the order in which they run. None of the standard parsers does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.registry import (
    RegistryError,
    is_pass,
    load_plugin,
    pass_names,
    suggestions,
)
from ssft.compiler.pipelines.printing import IRPrinting
from ssft.compiler.pipelines.text import parse_elements

DEFAULT_MARKER = "// -----"


@dataclass
class Arguments:
    """What the command line asks for; names follow the options."""

    input: str = "-"
    output: str = "-"
    pass_pipeline: str | None = None
    passes: list[str] = field(default_factory=list)
    """Passes given by flags of their own, as pipeline elements."""
    split_input_file: str | None = None
    verify_diagnostics: str | None = None
    verify_each: bool = True
    verify_roundtrip: bool = False
    allow_unregistered_dialect: bool = False
    no_implicit_module: bool = False
    emit_bytecode: bool = False
    irdl_file: list[str] = field(default_factory=list)
    load_pass_plugin: list[str] = field(default_factory=list)
    mlir_print_ir_before: list[str] = field(default_factory=list)
    mlir_print_ir_after: list[str] = field(default_factory=list)
    mlir_print_ir_before_all: bool = False
    mlir_print_ir_after_all: bool = False
    mlir_print_ir_after_change: bool = False
    mlir_print_ir_after_failure: bool = False
    mlir_print_ir_module_scope: bool = False
    mlir_print_ir_tree_dir: str | None = None
    mlir_print_op_generic: bool = False
    mlir_print_debuginfo: bool = False
    mlir_pretty_debuginfo: bool = False
    mlir_print_local_scope: bool = False
    mlir_print_skip_regions: bool = False
    mlir_elide_elementsattrs_if_larger: int | None = None
    mlir_elide_resource_strings_if_larger: int | None = None
    mlir_diagnostic_verbosity_level: str = "remarks"
    mlir_disable_threading: bool = False
    mlir_timing: bool = False
    mlir_pass_statistics: bool = False
    mlir_pass_pipeline_crash_reproducer: str | None = None
    mlir_generate_reproducer: str | None = None
    run_reproducer: bool = False
    dump_pass_pipeline: bool = False
    list_passes: bool = False
    show_dialects: bool = False
    help: bool = False
    version: bool = False

    def ir_printing(self) -> IRPrinting:
        """The options that print IR between passes."""
        return IRPrinting(
            before_all=self.mlir_print_ir_before_all,
            after_all=self.mlir_print_ir_after_all,
            after_change=self.mlir_print_ir_after_change,
            after_failure=self.mlir_print_ir_after_failure,
            before=frozenset(self.mlir_print_ir_before),
            after=frozenset(self.mlir_print_ir_after),
            module_scope=self.mlir_print_ir_module_scope,
            tree_dir=self.mlir_print_ir_tree_dir,
            debug_info=self.mlir_print_debuginfo,
            generic=self.mlir_print_op_generic,
            elide_elements_larger=self.mlir_elide_elementsattrs_if_larger,
        )


@dataclass(frozen=True)
class Option:
    """One option: its `help`, and what its value is.

    `value` names the value in the help, None for a switch; `implied` stands in if it is left out,
    and then it must be given after ``=``, since the next word would be taken for the input file.
    """

    name: str
    help: str
    value: str | None = None
    convert: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    implied: str | None = None
    repeated: bool = False

    @property
    def destination(self) -> str:
        """The field of `Arguments`."""
        return {"o": "output"}.get(self.name, self.name.replace("-", "_"))


OPTIONS = (
    Option("o", "output file (default: standard output), written whole or not at all", "FILE"),
    Option("pass-pipeline", "passes to run, e.g. 'builtin.module(cse,ssft-foo{x=1})'", "TEXT"),
    Option(
        "split-input-file",
        f"treat each part between lines '{DEFAULT_MARKER}' (or the given marker) by itself",
        "MARKER",
        implied=DEFAULT_MARKER,
    ),
    Option(
        "verify-diagnostics",
        "check diagnostics against the comments 'expected-error {{…}}' in the input",
        "all|only-expected",
        choices=("all", "only-expected"),
        implied="all",
    ),
    Option("verify-each", "verify the IR after each pass (default: true)"),
    Option("verify-roundtrip", "check that the input survives printing and parsing"),
    Option("allow-unregistered-dialect", "accept operations of dialects that are not known"),
    Option("no-implicit-module", "do not wrap the input in a module"),
    Option("emit-bytecode", "write bytecode instead of text"),
    Option("irdl-file", "load dialects from an IRDL file first", "FILE", repeated=True),
    Option("load-pass-plugin", "load passes from a Python file", "FILE", repeated=True),
    Option("mlir-print-ir-before", "print IR before this pass", "PASS", repeated=True),
    Option("mlir-print-ir-after", "print IR after this pass", "PASS", repeated=True),
    Option("mlir-print-ir-before-all", "print IR before each pass"),
    Option("mlir-print-ir-after-all", "print IR after each pass"),
    Option("mlir-print-ir-after-change", "print IR after each pass that changed it"),
    Option("mlir-print-ir-after-failure", "print IR after a pass that failed"),
    Option("mlir-print-ir-module-scope", "always print the whole module"),
    Option("mlir-print-ir-tree-dir", "print IR to files in this directory instead", "DIR"),
    Option("mlir-print-op-generic", "print operations in generic form"),
    Option("mlir-print-debuginfo", "print locations"),
    Option("mlir-pretty-debuginfo", "print locations legibly (they cannot be parsed again)"),
    Option("mlir-print-local-scope", "print without aliases"),
    Option("mlir-print-skip-regions", "print operations without their regions"),
    Option("mlir-elide-elementsattrs-if-larger", "leave out constants larger than N", "N", int),
    Option("mlir-elide-resource-strings-if-larger", "leave out resources larger than N", "N", int),
    Option(
        "mlir-diagnostic-verbosity-level",
        "which diagnostics to print (default: remarks)",
        "errors|warnings|remarks",
        choices=("errors", "warnings", "remarks"),
    ),
    Option("mlir-disable-threading", "accepted for compatibility; there are no threads"),
    Option("mlir-timing", "report how long each pass took"),
    Option("mlir-pass-statistics", "report what each pass counted"),
    Option(
        "mlir-pass-pipeline-crash-reproducer",
        "leave a reproducer here if a pass fails or the process dies",
        "FILE",
    ),
    Option("mlir-generate-reproducer", "write a reproducer whatever happens", "FILE"),
    Option("run-reproducer", "run the pipeline that the input file holds"),
    Option("dump-pass-pipeline", "print the pipeline with all options to standard error"),
    Option("list-passes", "list our passes and stop"),
    Option("show-dialects", "list the dialects that can be read and stop"),
    Option("help", "print this and stop"),
    Option("version", "print versions and stop"),
)

_BY_NAME = {option.name: option for option in OPTIONS} | {"h": OPTIONS[-2]}


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Parses a command line; raises `UserError` with exit code 2 if it makes no sense."""
    arguments = Arguments()
    inputs: list[str] = []
    flags: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            inputs += list(words)
        elif word == "-" or not word.startswith("-"):
            inputs.append(word)
        else:
            name = word.removeprefix("-").removeprefix("-")
            key, equals, value = name.partition("=")
            if key in _BY_NAME:
                _set(arguments, _BY_NAME[key], value if equals else None, words)
            else:
                flags.append(name)
    if len(inputs) > 1:
        raise _bad(f"expected one input file, not {', '.join(inputs)}")
    if inputs:
        arguments.input = inputs[0]
    _load_plugins(arguments)
    arguments.passes = [_pass_flag(flag) for flag in flags]
    _check_conflicts(arguments)
    return arguments


def _bad(message: str, notes: Sequence[str] = ()) -> UserError:
    return UserError(message, notes=notes, exit_code=2)


def _set(arguments: Arguments, option: Option, value: str | None, words: Iterator[str]) -> None:
    """Stores one option, taking its value from the following word if need be."""
    if option.value is None:
        setattr(arguments, option.destination, _switch(option, value))
        return
    if value is None:
        value = option.implied if option.implied is not None else next(words, None)
    if value is None:
        raise _bad(f"option '--{option.name}' needs a value")
    if option.choices and value not in option.choices:
        raise _bad(
            f"option '--{option.name}' is '{value}'", [f"allowed are: {', '.join(option.choices)}"]
        )
    try:
        converted = option.convert(value)
    except ValueError:
        raise _bad(f"option '--{option.name}' is '{value}', expected an integer") from None
    if option.repeated:
        getattr(arguments, option.destination).extend(converted.split(","))
    else:
        setattr(arguments, option.destination, converted)


def _switch(option: Option, value: str | None) -> bool:
    words = {"1": True, "true": True, "0": False, "false": False}
    if value is None:
        return True
    if value.lower() not in words:
        raise _bad(f"option '--{option.name}' is '{value}', expected true or false")
    return words[value.lower()]


def _load_plugins(arguments: Arguments) -> None:
    for path in arguments.load_pass_plugin:
        try:
            load_plugin(path)
        except UserError as error:
            raise _bad(error.message, error.notes) from None
        except RegistryError as error:
            raise _bad(str(error)) from None


def _pass_flag(flag: str) -> str:
    """Returns the pipeline element for ``--<pass>`` or ``--<pass>=<options>``."""
    name, equals, options = flag.partition("=")
    element = f"{name}{{{options.strip('{}')}}}" if equals else name
    try:
        parse_elements(element)
    except UserError as error:
        if is_pass(name) or not error.message.startswith("unknown pass"):
            raise _bad(error.message, error.notes) from None
        near = suggestions(name, [*_BY_NAME, *pass_names()])[:-1]
        raise _bad(
            f"unknown option or pass '--{name}'", [*near, "ssft-opt --help lists all"]
        ) from None
    return element


def _check_conflicts(arguments: Arguments) -> None:
    sources = {
        "--pass-pipeline": arguments.pass_pipeline is not None,
        "flags of single passes": bool(arguments.passes),
        "--run-reproducer": arguments.run_reproducer,
    }
    given = [name for name, is_given in sources.items() if is_given]
    if len(given) > 1:
        raise _bad(f"{' and '.join(given)} cannot be combined", ["put all passes in one pipeline"])
    if arguments.emit_bytecode and arguments.split_input_file is not None:
        raise _bad("--emit-bytecode and --split-input-file cannot be combined")
