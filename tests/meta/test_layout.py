"""Where files are and how long they may be."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from statistics import median

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("compiler", "dialects", "runtime", "hwmodel")
HAND_WRITTEN = (*ROOTS, "tests", "examples", "benchmarks", "tools")

LONGEST_FILE, MEDIAN_FILE, LONGEST_FUNCTION = 800, 150, 60
"""Lines."""

TABLES: set[str] = set()
"""Functions that are longer because they are data, as ``path:name``."""

EXPECTED = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs/architecture.md")

MACHINE_PATH = re.compile(r"(?<![\w.~}])/(work|farm|root|home/\w+|Users/\w+|tmp/[\w.-]+)/")
REGISTRY = re.compile(r"https?://\S*(pypi\.org|pythonhosted|pytorch\.org/whl|anaconda|npmjs)")


def sources(repository: Path, roots: tuple[str, ...]) -> list[Path]:
    return [path for root in roots for path in sorted((repository / root).rglob("*.py"))]


def namespace_problems(repository: Path) -> list[str]:
    """`ssft` must stay a namespace package in each root, and each part must be marked as typed."""
    found = [f"{root}/ssft/__init__.py exists" for root in ROOTS
             if (repository / root / "ssft" / "__init__.py").exists()]  # fmt: skip
    found += [f"{root}/ssft/{root}/py.typed is missing" for root in ROOTS
              if not (repository / root / "ssft" / root / "py.typed").exists()]  # fmt: skip
    return found


def too_long(repository: Path) -> list[str]:
    found = []
    for path in sources(repository, HAND_WRITTEN):
        name, text = path.relative_to(repository).as_posix(), path.read_text()
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            found.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION and f"{name}:{node.name}" not in TABLES:
                    found.append(f"{name}:{node.lineno}: {node.name} has {lines} lines")
    return found


def median_length(repository: Path) -> float:
    return median(len(path.read_text().splitlines()) for path in sources(repository, ROOTS))


def machine_specific(repository: Path, files: list[Path]) -> list[str]:
    """Lines that name a directory of one machine, or a registry that users did not choose."""
    found = []
    for path in files:
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if MACHINE_PATH.search(line) or REGISTRY.search(line):
                found.append(f"{path.relative_to(repository)}:{number}: {line.strip()[:80]}")
    return found


def tracked(repository: Path) -> list[Path]:
    if shutil.which("git") is None or not (repository / ".git").exists():
        pytest.skip("the list of tracked files needs a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    files = [repository / name for name in listing.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def test_ssft_is_a_typed_namespace_package():
    assert namespace_problems(REPOSITORY) == []


def test_files_and_functions_are_short():
    assert too_long(REPOSITORY) == []
    assert median_length(REPOSITORY) <= MEDIAN_FILE


def test_exceptions_are_still_needed():
    names = {path.relative_to(REPOSITORY).as_posix() for path in sources(REPOSITORY, HAND_WRITTEN)}
    assert {entry for entry in TABLES if entry.rpartition(":")[0] not in names} == set()


@pytest.mark.parametrize("name", EXPECTED)
def test_document_exists(name: str):
    assert (REPOSITORY / name).is_file()


def test_nothing_tracked_is_about_one_machine():
    assert machine_specific(REPOSITORY, tracked(REPOSITORY)) == []


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_namespace_violation_is_found(tmp_path: Path):
    for root in ROOTS:
        write(tmp_path / root / "ssft" / root / "py.typed", "")
    assert namespace_problems(tmp_path) == []
    write(tmp_path / "runtime/ssft/__init__.py", "")
    (tmp_path / "hwmodel/ssft/hwmodel/py.typed").unlink()
    assert namespace_problems(tmp_path) == [
        "runtime/ssft/__init__.py exists",
        "hwmodel/ssft/hwmodel/py.typed is missing",
    ]


def test_length_is_found(tmp_path: Path):
    long_function = "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION
    write(tmp_path / "compiler/a.py", long_function)
    write(tmp_path / "tests/b.py", "x = 1\n" * (LONGEST_FILE + 1))
    write(tmp_path / "tests/c.py", "def f():\n" + "    x = 1\n" * (LONGEST_FUNCTION - 1))
    assert too_long(tmp_path) == [
        f"compiler/a.py:1: f has {LONGEST_FUNCTION + 1} lines",
        f"tests/b.py: {LONGEST_FILE + 1} lines",
    ]
    assert median_length(tmp_path) == LONGEST_FUNCTION + 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("open('/{}/me/plan.mlir')".format("home"), True),
        ("PATH=/{}/.cache/x".format("root"), True),
        ("pip install -i https://{}/simple x".format("pypi.org"), True),
        ("see https://pytorch.org/docs and tests/home/x", False),
        ("$HOME/work/x and ~/root/y, a/b/c", False),
    ],
)
def test_machine_specific_line_is_found(tmp_path: Path, line: str, found: bool):
    planted = write(tmp_path / "notes.md", f"fine\n{line}\n")
    assert bool(machine_specific(tmp_path, [planted])) is found
