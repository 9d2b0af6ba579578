"""Parsing and printing textual pipelines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes import registry
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.pipelines.text import make_pass, parse_pipeline, print_element
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class TypedPass(Pass):
    argument: ClassVar[str] = "test-typed"
    name: str = "a"
    count: int = 1
    ratio: float = 0.5
    is_on: bool = field(default=False)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        pass


@pytest.fixture(autouse=True)
def typed_pass(monkeypatch):
    monkeypatch.setitem(registry._plugins, "test-typed", TypedPass)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", TypedPass()),
        ("count=-3", TypedPass(count=-3)),
        ("ratio=1e-3 name=b", TypedPass(ratio=0.001, name="b")),
        ("is-on", TypedPass(is_on=True)),
        ("is_on=1", TypedPass(is_on=True)),
        ("is-on=false", TypedPass()),
        ('name="a b, {c} \\"d\\""', TypedPass(name='a b, {c} "d"')),
        ('name=""', TypedPass(name="")),
        ("name=layer*;head", TypedPass(name="layer*;head")),
        ("name=rows=0-3:columns=4", TypedPass(name="rows=0-3:columns=4")),
    ],
)
def test_options_have_types_and_survive_printing(options: str, expected: TypedPass):
    assert make_pass("test-typed", options) == expected
    pipeline = parse_pipeline(f"builtin.module(cse,test-typed{{{options}}})")
    assert pipeline.elements == ("cse", expected)
    assert parse_pipeline(str(pipeline)) == pipeline


@pytest.mark.parametrize(
    "text",
    [
        "builtin.module()",
        "builtin.module(cse)",
        "any(cse,canonicalize)",
        "builtin.module(func.func(cse,canonicalize{max-iterations=2 top-down=false}),cse)",
        "func.func(cse)",
        "builtin.module(test-typed{name=b count=2 ratio=0.25 is-on=true},func.func(cse))",
    ],
)
def test_the_printed_form_is_the_canonical_one(text: str):
    assert str(parse_pipeline(text)) == text


def test_defaults_are_not_printed():
    assert print_element(TypedPass(count=1)) == "test-typed"
    assert print_element(TypedPass(name="a b")) == 'test-typed{name="a b"}'


@pytest.mark.parametrize(
    ("text", "message", "note"),
    [
        ("cse", "pipeline 'cse' has no anchor", "builtin.module(cse)"),
        ("builtin.module(nope)", "unknown pass 'nope'", "test-typed"),
        ("builtin.module(test-type)", "unknown pass 'test-type'", "did you mean 'test-typed'"),
        ("builtin.module(func.func(nope))", "unknown pass 'nope'", "test-typed"),
        ("builtin.module(test-typed{x=1})", "pass 'test-typed' has no option 'x'", "is-on"),
        ("builtin.module(test-typed{count=a})", "option 'count' of pass 'test-typed' is 'a'", ""),
        ("builtin.module(test-typed{is-on=7})", "is '7', expected true or false", ""),
        ("builtin.module(test-typed{ratio=})", "is '', expected a number", ""),
        ("builtin.module(cse{x=1})", "pass 'cse' has no option 'x'", "known are: none"),
        ("builtin.module(canonicalize{x=1})", "no option 'x'", "max-iterations"),
        ("builtin.module(cse,,cse)", "empty element", ""),
        ("builtin.module(cse,)", "empty element", ""),
        ("builtin.module(func.func(cse)", "missing ')'", ""),
        ("builtin.module(cse})", "unbalanced '}'", ""),
        ('builtin.module(test-typed{name="a})', "missing '\"'", ""),
        ("builtin.module(test-typed(cse))", "'test-typed' is a pass, not an operation", ""),
        ("builtin.module(func.func(test-typed))", "runs on builtin.module", "beside"),
        ("func.func(test-typed)", "runs on builtin.module", "beside"),
        ("builtin.module(llvm-request-c-wrappers)", "cannot parse", "restricted to 'func.func'"),
    ],
)
def test_mistakes_are_explained(text: str, message: str, note: str):
    with pytest.raises(UserError) as caught:
        parse_pipeline(text)
    assert message in caught.value.message
    assert note in "\n".join(caught.value.notes)
