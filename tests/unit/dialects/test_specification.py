"""Docstring, verifier and invalid.mlir of each operation agree on its constraints."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssft.dialects import load, new_context
from ssft.dialects._mlir import ir
from ssft.dialects.ssft import OPERATIONS

REPOSITORY = Path(__file__).parents[3]
INVALID = REPOSITORY / "tests/lit/dialects/ssft"

operations = pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.OPERATION_NAME)


def name_of(op: type) -> str:
    return op.OPERATION_NAME.removeprefix("ssft.")


def stated(op: type) -> set[str]:
    return {f"{name_of(op)}_c{n}" for n in re.findall(r"\(C(\d+)\)", inspect.getdoc(op))}


@operations
def test_each_stated_constraint_is_verified(op):
    source = inspect.getsource(op)
    assert stated(op), "the docstring states no constraint"
    assert set(re.findall(rf"# ({name_of(op)}_c\d+)", source)) == stated(op)


@operations
def test_each_stated_constraint_has_a_violation(op):
    text = (INVALID / name_of(op) / "invalid.mlir").read_text()
    chunks = text.split("// -----")
    violated = {match[1] for chunk in chunks if (match := re.search(r"@(\w+_c\d+)\(", chunk))}
    assert violated == stated(op)
    assert all("expected-error" in chunk for chunk in chunks)


@operations
def test_constraints_are_numbered_without_gaps(op):
    numbers = [int(n) for n in re.findall(r"\* \(C(\d+)\)", inspect.getdoc(op))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("op", [op for op in OPERATIONS if name_of(op) != "yield"], ids=name_of)
def test_the_docstring_has_an_example_that_parses(op):
    """The example's operands become arguments, with the types that it gives them."""
    example = inspect.getdoc(op).split("Example::")[1].strip()
    operands = re.search(r"\((%[^)]*)\)", example)[1].split(", ")
    types = re.search(r" : \((tensor.*)\) ->", example)[1].split(", ")
    arguments = ", ".join(f"{o}: {t}" for o, t in zip(operands, types, strict=True)) + ", %lr: f32"
    with new_context():
        ir.Module.parse(f"func.func @f({arguments}) {{\n{example}\nreturn\n}}")


def test_contexts_are_independent_and_loading_twice_is_fine():
    first, second = new_context(), new_context()
    load(first)
    text = "func.func @f(%x: tensor<2xf32>, %i: tensor<1xi64>) {{ {} return }}".format(
        '%r = "ssft.gather"(%x, %i) {dim = 0 : i64} : '
        "(tensor<2xf32>, tensor<1xi64>) -> tensor<1xf32>"
    )
    for context in (first, second):
        module = ir.Module.parse(text, context=context)
        (op, _) = module.body.operations[0].regions[0].blocks[0].operations
        assert type(op).__name__ == "GatherOp"


def test_loading_the_dialect_imports_neither_torch_nor_numpy():
    script = (
        "import sys, ssft.dialects; ssft.dialects.new_context()\n"
        "print({'torch', 'numpy'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(REPOSITORY / "dialects")},
        capture_output=True,
        text=True,
    )
    assert run.stdout == "set()\n", run.stderr
