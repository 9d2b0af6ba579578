"""A pass's flag, its module, its class and its test directory have one name."""

from __future__ import annotations

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PASSES = "compiler/ssft/compiler/passes"
TESTS = "tests/lit/passes"
NOT_PASSES = {"base", "registry"}
TEST_FILES = ("doctest.mlir", "basic.mlir", "negative.mlir", "invalid.mlir")


def modules(repository: Path) -> list[Path]:
    return [
        path
        for path in sorted((repository / PASSES).glob("*.py"))
        if path.stem not in NOT_PASSES and not path.stem.startswith("_")
    ]


def flag_of(module: Path) -> str:
    return module.stem.replace("_", "-")


def declared(module: Path) -> list[tuple[str, str]]:
    """(class name, flag) of each class that sets `argument` to a string."""
    found = []
    for node in ast.parse(module.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement in node.body:
            match statement:
                case (
                    ast.AnnAssign(target=ast.Name(id="argument"), value=ast.Constant(value=flag))
                    | ast.Assign(targets=[ast.Name(id="argument")], value=ast.Constant(value=flag))
                ):
                    found.append((node.name, str(flag)))
    return found


def class_name(flag: str) -> str:
    """``ssft-form-updates`` gives FormUpdatesPass, ``cpu-split-loops`` CpuSplitLoopsPass."""
    return "".join(word.title() for word in flag.removeprefix("ssft-").split("-")) + "Pass"


def misnamed(repository: Path) -> list[str]:
    found = []
    for module in modules(repository):
        expected = [(class_name(flag_of(module)), flag_of(module))]
        if declared(module) != expected:
            found.append(f"{module.name} defines {declared(module)}, expected {expected}")
    return found


def missing_tests(repository: Path) -> list[str]:
    return [
        f"{TESTS}/{flag_of(module)}/{name}"
        for module in modules(repository)
        for name in TEST_FILES
        if not (repository / TESTS / flag_of(module) / name).is_file()
    ]


def orphaned_tests(repository: Path) -> list[str]:
    flags = {flag_of(module) for module in modules(repository)}
    directories = [path.name for path in (repository / TESTS).glob("*") if path.is_dir()]
    return sorted(name for name in directories if name not in flags and name != "Output")


def test_passes_are_named_after_their_modules():
    assert modules(REPOSITORY), "no passes found: has the directory moved?"
    assert misnamed(REPOSITORY) == []


def test_every_pass_has_its_four_test_files():
    missing = missing_tests(REPOSITORY)
    assert not missing, "missing:\n" + "\n".join(missing)


def test_every_test_directory_has_a_pass():
    assert orphaned_tests(REPOSITORY) == []


def plant(repository: Path, module: str, source: str, *tests: str) -> None:
    files = {f"{PASSES}/{module}.py": source} | {f"{TESTS}/{test}": "" for test in tests}
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_violations_are_found(tmp_path: Path):
    source = "class DropPass(Pass):\n    argument: ClassVar[str] = 'ssft-drop-gradients'\n"
    plant(tmp_path, "ssft_drop_gradients", source, "ssft-drop-gradient/basic.mlir")
    plant(tmp_path, "base", "")
    plant(tmp_path, "_shared", "")
    (problem,) = misnamed(tmp_path)
    assert "DropPass" in problem
    assert "DropGradientsPass" in problem
    assert missing_tests(tmp_path) == [f"{TESTS}/ssft-drop-gradients/{n}" for n in TEST_FILES]
    assert orphaned_tests(tmp_path) == ["ssft-drop-gradient"]


def test_a_well_named_pass_is_left_alone(tmp_path: Path):
    source = "class CpuTilePass(Pass):\n    argument = 'cpu-tile'\n"
    plant(tmp_path, "cpu_tile", source, *(f"cpu-tile/{name}" for name in TEST_FILES))
    assert misnamed(tmp_path) == missing_tests(tmp_path) == orphaned_tests(tmp_path) == []
