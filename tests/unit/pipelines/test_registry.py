"""Passes are found by their modules' names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes import registry

REPOSITORY = Path(__file__).parents[3]
SOURCE = """
from dataclasses import dataclass
from ssft.compiler.passes.base import Pass

@dataclass(frozen=True)
class {name}(Pass):
    argument = "{flag}"
    def run(self, module, context):
        pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A directory that the registry scans besides the package."""
    monkeypatch.setattr(registry.package, "__path__", [*registry.package.__path__, str(tmp_path)])
    return tmp_path


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    monkeypatch.setattr(registry, "_plugins", {})


def test_every_pass_of_the_package_loads():
    passes = registry.load_all()
    assert list(passes) == sorted(passes)
    assert "convert-ssft-to-linalg" in passes
    assert all(pass_.argument == flag for flag, pass_ in passes.items())


def test_a_module_is_a_pass(package):
    (package / "test_found.py").write_text(SOURCE.format(name="FoundPass", flag="test-found"))
    (package / "_helper.py").write_text("")
    assert registry.is_pass("test-found")
    assert not registry.is_pass("-helper")
    assert registry.load_pass("test-found").__name__ == "FoundPass"


def test_a_flag_unlike_its_module_is_an_error(package):
    (package / "test_misnamed.py").write_text(SOURCE.format(name="MisnamedPass", flag="test-other"))
    with pytest.raises(registry.RegistryError) as caught:
        registry.load_pass("test-misnamed")
    for part in ("test_misnamed.MisnamedPass", "'test-other'", "'test-misnamed'"):
        assert part in str(caught.value)


def test_two_passes_in_a_module_are_an_error(package):
    source = SOURCE.format(name="OnePass", flag="test-two") + SOURCE.format(
        name="OtherPass", flag="test-two"
    )
    (package / "test_two.py").write_text(source)
    with pytest.raises(registry.RegistryError, match="defines OnePass, OtherPass"):
        registry.load_pass("test-two")


def test_an_unknown_flag_is_the_users_mistake():
    with pytest.raises(UserError) as caught:
        registry.load_pass("convert-ssft-to-linlag")
    assert caught.value.notes[0] == "did you mean 'convert-ssft-to-linalg'?"


def test_a_plugin_adds_its_passes(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE.format(name="MinePass", flag="test-mine"))
    registry.load_plugin(file)
    assert registry.load_pass("test-mine").__name__ == "MinePass"
    with pytest.raises(registry.RegistryError, match=r"MinePass has the flag 'test-mine', which"):
        registry.load_plugin(file)


@pytest.mark.parametrize("text", ["syntax error here", "import no_such_module", "x = 1"])
def test_a_bad_plugin_is_the_users_mistake(tmp_path, text):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(UserError, match=r"bad\.py"):
        registry.load_plugin(file)
    with pytest.raises(UserError, match="cannot load passes"):
        registry.load_plugin(tmp_path / "absent.py")


def test_looking_for_a_pass_imports_no_other():
    script = (
        "import sys; from ssft.compiler.passes.registry import load_pass, pass_names\n"
        "names = pass_names(); load_pass('convert-ssft-to-linalg')\n"
        "modules = {'ssft.compiler.passes.' + name.replace('-', '_') for name in names}\n"
        "print(sorted(modules & set(sys.modules)))"
    )
    path = ":".join(str(REPOSITORY / part) for part in ("compiler", "dialects"))
    run = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert run.stdout.strip() == "['ssft.compiler.passes.convert_ssft_to_linalg']", run.stderr
