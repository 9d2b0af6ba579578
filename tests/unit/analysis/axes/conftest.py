from __future__ import annotations

from collections.abc import Callable

import pytest

from ssft.compiler.analysis.axes import AxisAnalysis, analyze_axes
from ssft.compiler.analysis.step import find_step
from ssft.dialects._mlir import PassManager, ir, register_torch_dialect


@pytest.fixture(scope="session")
def context() -> ir.Context:
    from ssft.dialects.ssft import Ssft

    context = ir.Context()
    register_torch_dialect(context)
    with context, ir.Location.unknown():
        Ssft.load()
        # Any torch-mlir pipeline registers tm_tensor.
        PassManager.parse(
            "builtin.module(torch-backend-to-linalg-on-tensors-backend-pipeline)"
        ).run(ir.Module.parse("module {}").operation)
    return context


MAPS = """
#id1 = affine_map<(i) -> (i)>
#id = affine_map<(i, j) -> (i, j)>
#t = affine_map<(i, j) -> (j, i)>
#row = affine_map<(i, j) -> (i)>
#col = affine_map<(i, j) -> (j)>
"""


def value(name: str, kind: str, role: str = "trainable") -> str:
    return f'%{name}: tensor<{kind}> {{ssft.role = "{role}", ssft.name = "{name}"}}'


@pytest.fixture
def parse(context) -> Callable[..., ir.Module]:
    """Makes a module from arguments (name, tensor type, role), a body, and one result."""

    def make(arguments, body: str, result: str, kind: str, role: str = "loss") -> ir.Module:
        signature = ", ".join(value(*argument) for argument in arguments)
        attribute = f'ssft.role = "{role}"' if role else ""
        text = f"""{MAPS}
            func.func @step({signature}) -> (tensor<{kind}> {{{attribute}}}) {{
              {body}
              return %{result} : tensor<{kind}>
            }}"""
        with context, ir.Location.unknown():
            return ir.Module.parse(text)

    return make


@pytest.fixture
def analyze(parse) -> Callable[..., AxisAnalysis]:
    def run(*args, **kwargs) -> AxisAnalysis:
        module = parse(*args, **kwargs)
        before = str(module)
        analysis = analyze_axes(find_step(module.operation))
        assert str(module) == before, "the analysis changed the module"
        return analysis

    return run


@pytest.fixture
def free(analyze) -> Callable[..., list[list[str]]]:
    """The members of each free axis."""

    def run(*args, **kwargs) -> list[list[str]]:
        analysis = analyze(*args, **kwargs)
        return [[member.text for member in axis.members] for axis in analysis.free_axes]

    return run
