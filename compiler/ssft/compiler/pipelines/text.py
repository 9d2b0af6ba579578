"""Textual pipelines, e.g. ``builtin.module(func.func(cse),ssft-foo{ratio=0.5},canonicalize)``.

MLIR's own parser knows upstream passes only, so this one splits a pipeline into our passes, which
become instances of their classes with typed options, and upstream text, which MLIR parses.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass
from typing import Any, get_type_hints

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.base import Pass
from ssft.compiler.passes.registry import is_pass, load_pass, pass_names, suggestions
from ssft.dialects._mlir import PassManager, ir

ANCHOR = "builtin.module"
"""What our passes run on."""

Element = Pass | str
"""One step of a pipeline: a pass of ours, or text that MLIR parses."""

_OPEN, _CLOSE = "({[<", ")}]>"
_PLAIN_VALUE = re.compile(r"[^\s,{}()\"']+")


@dataclass(frozen=True)
class Pipeline:
    """Elements that run one after the other on `anchor`; ``str`` gives the textual form."""

    elements: tuple[Element, ...]
    anchor: str = ANCHOR

    def __str__(self) -> str:
        return f"{self.anchor}({','.join(print_element(element) for element in self.elements)})"


def parse_pipeline(text: str) -> Pipeline:
    """Parses a whole pipeline with its anchor.

    Raises `UserError` for a pipeline that is not well formed, an unknown pass, an unknown option
    or a value of the wrong type; notes list what is allowed.
    """
    match = re.fullmatch(r"\s*([\w.]+)\s*\((.*)\)\s*", text, re.DOTALL)
    if match is None:
        raise UserError(
            f"pipeline '{text.strip()}' has no anchor",
            notes=[f"write the operation it runs on around it: '{ANCHOR}({text.strip()})'"],
        )
    anchor, inner = match.groups()
    elements = tuple(parse_elements(inner, anchor))
    if anchor not in (ANCHOR, "any"):
        _check_upstream(f"{anchor}({inner})", anchored=True)
    return Pipeline(elements, anchor)


def parse_elements(text: str, anchor: str = ANCHOR) -> list[Element]:
    """Parses comma-separated elements to run on `anchor`; raises `UserError` as above."""
    return [parse_element(element, anchor) for element in split_elements(text)]


def parse_element(text: str, anchor: str = ANCHOR) -> Element:
    """Parses one element; raises `UserError` as above."""
    name = re.split(r"[({\s]", text, maxsplit=1)[0]
    rest = text[len(name) :].strip()
    if rest.startswith("("):
        _check_nested(name, rest)
    if not is_pass(name):
        _check_upstream(text)
        return text
    if anchor not in (ANCHOR, "any"):
        raise UserError(
            f"pass '{name}' runs on {ANCHOR}, but the pipeline nests it in '{anchor}'",
            notes=["put it beside the nested part, not into it"],
        )
    if rest and not (rest.startswith("{") and rest.endswith("}")):
        raise UserError(f"expected options in braces after pass '{name}', not '{rest}'")
    return make_pass(name, rest[1:-1])


def make_pass(flag: str, options: str = "") -> Pass:
    """Returns an instance of our pass `flag`; `options` is e.g. ``"ratio=0.5 axis=rows"``.

    Raises `UserError` for an unknown pass or option, or a value of the wrong type.
    """
    pass_ = load_pass(flag)
    kinds = option_types(pass_)
    values: dict[str, Any] = {}
    for option in _split_options(options):
        key, equals, value = option.partition("=")
        name = key.replace("-", "_")
        if name not in kinds:
            known = [option_name(field) for field in kinds]
            raise UserError(f"pass '{flag}' has no option '{key}'", notes=suggestions(key, known))
        values[name] = _convert(flag, key, value if equals else "true", kinds[name])
    return pass_(**values)


def option_types(pass_: type[Pass]) -> dict[str, type]:
    """Returns the types of a pass's options by field name."""
    hints = get_type_hints(pass_)
    return {field.name: hints[field.name] for field in dataclasses.fields(pass_)}


def option_name(field: str) -> str:
    """Returns how the option for a dataclass field is spelled."""
    return field.replace("_", "-")


def print_element(element: Element) -> str:
    """Returns the textual form; options of ours are left out where they have the default."""
    if isinstance(element, str):
        return element
    options = [
        f"{option_name(field.name)}={_print_value(getattr(element, field.name))}"
        for field in dataclasses.fields(element)
        if getattr(element, field.name) != field.default
    ]
    return element.argument + ("{" + " ".join(options) + "}" if options else "")


def print_expanded(pipeline: Pipeline) -> str:
    """Returns the pipeline with every option of every pass (``--dump-pass-pipeline``)."""
    parts = []
    for element in pipeline.elements:
        if isinstance(element, str):
            with _scratch_context():
                expanded = str(PassManager.parse(f"{pipeline.anchor}({element})"))
            parts.append(expanded[len(pipeline.anchor) + 1 : -1])
        else:
            options = " ".join(
                f"{option_name(field.name)}={_print_value(getattr(element, field.name))}"
                for field in dataclasses.fields(element)
            )
            parts.append(element.argument + (f"{{{options}}}" if options else ""))
    listing = ",\n".join(f"  {part}" for part in parts)
    return f"Pass Manager with {len(parts)} passes:\n{pipeline.anchor}(\n{listing}\n)"


def _print_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _convert(flag: str, key: str, text: str, kind: type) -> Any:
    """Returns `text` as a value of `kind` (str, int, float or bool)."""
    if text[:1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if kind is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        if text.lower() in words:
            return words[text.lower()]
    else:
        try:
            return kind(text)
        except ValueError:
            pass
    expected = {bool: "true or false", int: "an integer", float: "a number"}.get(kind, str(kind))
    raise UserError(f"option '{key}' of pass '{flag}' is '{text}', expected {expected}")


def split_elements(text: str) -> list[str]:
    """Splits at commas outside brackets and quotes."""
    parts, depth, start, quote = [], [], 0, False
    for position, character in enumerate(text):
        if character == '"' and text[position - 1 : position] != "\\":
            quote = not quote
        elif quote:
            continue
        elif character in _OPEN:
            depth.append(_CLOSE[_OPEN.index(character)])
        elif character in _CLOSE:
            if not depth or depth.pop() != character:
                raise UserError(f"unbalanced '{character}' in pipeline '{text}'")
        elif character == "," and not depth:
            parts.append(text[start:position].strip())
            start = position + 1
    if depth or quote:
        raise UserError(f"missing '{chr(34) if quote else depth[-1]}' in pipeline '{text}'")
    last = text[start:].strip()
    parts += [last] if last or parts else []
    if "" in parts:
        raise UserError(f"empty element in pipeline '{text}'")
    return parts


def _split_options(text: str) -> list[str]:
    """Splits at blanks outside quotes and braces: ``a=1 b="x y" c={1 2}``."""
    return re.findall(r'[^\s="{]+(?:=(?:"(?:[^"\\]|\\.)*"|\{[^}]*\}|[^\s]*))?', text)


def _check_nested(anchor: str, rest: str) -> None:
    """Checks the elements inside ``anchor(…)``, so that errors name our passes too."""
    if is_pass(anchor):
        raise UserError(f"'{anchor}' is a pass, not an operation to nest in")
    if not rest.endswith(")"):
        raise UserError(f"unexpected text after ')' in '{anchor}{rest}'")
    parse_elements(rest[1:-1], anchor)


def _check_upstream(text: str, anchored: bool = False) -> None:
    """Raises `UserError` unless MLIR can parse `text`."""
    with _scratch_context():
        try:
            PassManager.parse(text if anchored else f"{ANCHOR}({text})")
        except ValueError as error:
            raise _upstream_error(text, str(error)) from None


@functools.cache
def _scratch_context() -> ir.Context:
    """A context for parsing pipelines only; making one for each element would cost 10 ms each."""
    return ir.Context()


def _upstream_error(text: str, message: str) -> UserError:
    unknown = re.search(r"'([^']*)' does not refer to a registered pass", message)
    if unknown:
        name = unknown.group(1)
        near, known = suggestions(name, pass_names())[:-1], ", ".join(pass_names()) or "none"
        return UserError(
            f"unknown pass '{name}'",
            notes=[*near, f"passes of ssft: {known}", "passes of MLIR go by their mlir-opt names"],
        )
    option = re.search(r"no such option (\S+)", message)
    if option:
        with _scratch_context():
            name = text.partition("{")[0]
            listing = str(PassManager.parse(f"{ANCHOR}({name})"))
        known = ", ".join(re.findall(r"([\w-]+)=", listing)) or "none"
        return UserError(
            f"pass '{name}' has no option '{option.group(1)}'", notes=[f"known are: {known}"]
        )
    lines = [line for line in message.splitlines() if line.strip()]
    return UserError(f"cannot parse '{text}' in the pipeline", notes=lines[:1])
