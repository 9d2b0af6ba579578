"""Who may import whom. The table in docs/architecture.md, as rules over the sources' imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

PARTS = {
    "dialects": ("ssft.dialects",),
    "hwmodel": ("ssft.hwmodel",),
    "compiler": ("ssft.compiler", "ssft.dialects", "ssft.hwmodel.config", "ssft.hwmodel.isa"),
    "runtime": ("ssft.runtime", "ssft.compiler", "ssft.dialects", "ssft.hwmodel"),
}
"""What of ours each source root may import."""

ONLY_IN = {
    "torch": (
        *("compiler/ssft/compiler/frontend/", "runtime/ssft/runtime/torch_bridge.py"),
        "runtime/ssft/runtime/torch_adapters.py",
    ),
    "torch_mlir": ("dialects/ssft/dialects/_mlir.py",),
}
"""The only places that may import a package; a directory ends in a slash.

Under ``if TYPE_CHECKING:`` others may name it, too: that imports nothing.
"""

NEVER = {
    "compiler/ssft/compiler/passes/": ("pipelines", "backends", "frontend", "driver", "tools"),
    "compiler/ssft/compiler/analysis/": (
        *("passes", "rewriting", "pipelines", "backends", "frontend", "driver", "tools"),
    ),
    "compiler/ssft/compiler/backends/": ("frontend", "driver", "tools"),
    "compiler/ssft/compiler/frontend/": ("passes", "pipelines", "backends", "driver", "tools"),
}
"""Modules of `ssft.compiler` that a directory may not import."""

NOT_PASSES = {"base", "registry"}
"""Modules in passes/ that are not passes; so are those that start with an underscore."""


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """All nodes under ``if TYPE_CHECKING:``."""
    return {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")
        for statement in branch.body
        for node in ast.walk(statement)
    }


def imported(node: ast.AST, package: str) -> list[str]:
    """What a statement or call imports, as absolute dotted names.

    `from a import b` gives ``a.b``, because b may be a module. `package` is what `.` stands for.
    """
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            prefix = [*base, *([node.module] if node.module else [])]
            return [".".join([*prefix, alias.name]) for alias in node.names]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def imports(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """(line, module) of each import of a file, also those inside functions.

    Imports for types only are left out unless they are of ours.
    """
    tree = ast.parse(path.read_text())
    skipped = for_types_only(tree)
    for node in ast.walk(tree):
        for module in imported(node, package):
            if node not in skipped or within(module, ("ssft",)):
                yield getattr(node, "lineno", 0), module


def objection(file: str, part: str, module: str) -> str | None:
    """Why `file` (a path from the repository's root) may not import `module`."""
    top, _, rest = module.partition(".")
    if top == "ssft" and rest and not within(module, PARTS[part]):
        return f"{part} may import only {', '.join(PARTS[part])}"
    places = ONLY_IN.get(top, ())
    if places and not any(file == place or file.startswith(place) for place in places):
        return f"only {' and '.join(places)} may"
    for directory, banned in NEVER.items():
        if file.startswith(directory) and within(
            module, tuple(f"ssft.compiler.{name}" for name in banned)
        ):
            return f"{directory} may not import {' or '.join(banned)}"
    other = module.removeprefix("ssft.compiler.passes.").split(".")[0]
    is_pass = other not in NOT_PASSES and not other.startswith("_") and other != module
    name = Path(file).stem
    in_pass = file.startswith("compiler/ssft/compiler/passes/") and name not in NOT_PASSES
    if in_pass and module.startswith("ssft.compiler.passes.") and is_pass and other != name:
        return "a pass may not import another pass"
    return None


def violations(repository: Path) -> list[str]:
    found = []
    for part in PARTS:
        for path in sorted((repository / part).rglob("*.py")):
            file = path.relative_to(repository).as_posix()
            package = ".".join(Path(file).parent.parts[1:])
            for line, module in imports(path, package):
                if reason := objection(file, part, module):
                    found.append(f"{file}:{line}: imports {module}, but {reason}")
    return found


def test_sources_keep_the_contracts():
    assert violations(REPOSITORY) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("hwmodel/ssft/hwmodel/timing.py", "from ssft.compiler import diagnostics"),
        ("dialects/ssft/dialects/ssft/ops.py", "import ssft.runtime.session"),
        ("compiler/ssft/compiler/report.py", "from ssft.hwmodel import machine"),
        ("compiler/ssft/compiler/report.py", "from ssft import runtime"),
        ("compiler/ssft/compiler/report.py", "def f():\n    import torch.nn"),
        (
            "compiler/ssft/compiler/report.py",
            "if TYPE_CHECKING:\n    pass\nelse:\n    import torch",
        ),
        ("hwmodel/ssft/hwmodel/x.py", "if TYPE_CHECKING:\n    from ssft.compiler import plan"),
        ("runtime/ssft/runtime/session.py", "import importlib\nimportlib.import_module('torch')"),
        ("compiler/ssft/compiler/plan.py", "from torch_mlir import ir"),
        ("compiler/ssft/compiler/passes/ssft_a.py", "from ssft.compiler.passes import ssft_b"),
        ("compiler/ssft/compiler/passes/ssft_a.py", "from .ssft_b import helper"),
        ("compiler/ssft/compiler/passes/ssft_a.py", "from ..pipelines import named"),
        ("compiler/ssft/compiler/passes/_shared.py", "import ssft.compiler.backends.cpu"),
        ("compiler/ssft/compiler/analysis/axes/x.py", "from ssft.compiler.passes import base"),
    ],
)
def test_violation_is_found(tmp_path: Path, file: str, source: str):
    planted = tmp_path / file
    planted.parent.mkdir(parents=True)
    planted.write_text(source)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("compiler/ssft/compiler/report.py", "from ssft.hwmodel.config import Machine"),
        ("compiler/ssft/compiler/frontend/forward.py", "import torch"),
        ("compiler/ssft/compiler/api.py", "if TYPE_CHECKING:\n    import torch"),
        ("runtime/ssft/runtime/torch_bridge.py", "import torch"),
        ("dialects/ssft/dialects/_mlir.py", "from torch_mlir import ir"),
        ("compiler/ssft/compiler/passes/ssft_a.py", "from .base import Pass"),
        ("compiler/ssft/compiler/passes/ssft_a.py", "from ssft.compiler.passes._build import f"),
        ("compiler/ssft/compiler/pipelines/named.py", "from ssft.compiler.passes import ssft_a"),
    ],
)
def test_permitted_import_is_left_alone(tmp_path: Path, file: str, source: str):
    permitted = tmp_path / file
    permitted.parent.mkdir(parents=True)
    permitted.write_text(source)
    assert violations(tmp_path) == []
