"""Links lead somewhere, commands exist, and versions that are written down twice agree."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("compiler", "dialects", "runtime", "hwmodel")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
STUBS = "typings/torch_mlir/_mlir_libs/_mlir/ir.pyi"


def documents(repository: Path) -> list[Path]:
    patterns = ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    return sorted(path for pattern in patterns for path in repository.glob(pattern))


def broken_links(repository: Path) -> list[str]:
    """Links to files of the repository that are not there."""
    found = []
    for page in documents(repository):
        for target in LINK.findall(page.read_text()):
            if ":" not in target and not (page.parent / target).exists():
                found.append(f"{page.relative_to(repository)} links to {target}")
    return found


def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def broken_commands(repository: Path) -> list[str]:
    """Console scripts whose module or function is not in the sources."""
    found = []
    for command, entry in project(repository).get("scripts", {}).items():
        module, _, function = entry.partition(":")
        files = [repository / root / f"{module.replace('.', '/')}.py" for root in ROOTS]
        trees = [ast.parse(file.read_text()) for file in files if file.is_file()]
        names = {getattr(node, "name", None) for tree in trees for node in tree.body}
        if function not in names:
            found.append(f"{command}: there is no {entry}")
    return found


def pinned(repository: Path) -> str:
    (pin,) = [item for item in project(repository)["dependencies"] if "torch-mlir" in item]
    return pin.removeprefix("torch-mlir==")


def test_links_lead_somewhere():
    assert broken_links(REPOSITORY) == []


def test_commands_exist():
    assert broken_commands(REPOSITORY) == []


def test_stubs_are_of_the_pinned_wheel():
    header, *_ = (REPOSITORY / STUBS).read_text().splitlines()
    assert f"torch-mlir {pinned(REPOSITORY)}." in header, "run `make stubs`"


def test_broken_link_is_found(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    text = "[a](../README.md#top), [b](https://example.com/x), [c](gone.md), [d](#here)"
    (tmp_path / "docs" / "page.md").write_text(text)
    (tmp_path / "README.md").write_text("[docs](docs/)")
    assert broken_links(tmp_path) == ["docs/page.md links to gone.md"]


def test_broken_command_is_found(tmp_path: Path):
    tool = tmp_path / "runtime/ssft/runtime/tool.py"
    tool.parent.mkdir(parents=True)
    tool.write_text("def main(): ...\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project.scripts]\na = "ssft.runtime.tool:main"\nb = "ssft.runtime.tool:run"\n'
        'c = "ssft.runtime.gone:main"\n'
    )
    assert broken_commands(tmp_path) == [
        "b: there is no ssft.runtime.tool:run",
        "c: there is no ssft.runtime.gone:main",
    ]
