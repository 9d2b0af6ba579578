"""Shows every lit test as a pytest item; lit itself runs once for all that are selected."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Threads that wait for work by spinning steal the time of whatever else runs on a small machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# One cache for the whole run, child processes included, and never the user's. It cannot hide a
# miscompile: entries are named after the compiler's own sources and the kernels' code.
os.environ["SSFT_CACHE_DIR"] = tempfile.mkdtemp(prefix="ssft-test-cache-")
atexit.register(shutil.rmtree, os.environ["SSFT_CACHE_DIR"], ignore_errors=True)

os.environ["SSFT_VERIFY_EACH"] = "1"

LIT = Path(__file__).parent / "lit"
SUFFIXES = {".mlir", ".test"}
GOOD = {"PASS", "XFAIL"}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    inside = LIT in file_path.parents and not {"Inputs", "Output"} & set(file_path.parts)
    if inside and file_path.suffix in SUFFIXES:
        return LitFile.from_parent(parent, path=file_path)
    return None


class LitFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        yield LitItem.from_parent(self, name=self.path.name)


class LitFailure(Exception):
    pass


class LitItem(pytest.Item):
    def runtest(self) -> None:
        result = _results(self.session)[self.path]
        if result["code"] == "UNSUPPORTED":
            pytest.skip("lit: not supported here")
        if result["code"] not in GOOD:
            raise LitFailure(f"lit: {result['code']}\n{result['output']}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo) -> str:
        return str(excinfo.value if isinstance(excinfo.value, LitFailure) else excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"lit: {self.path.relative_to(LIT)}"


RESULTS: pytest.StashKey[dict[Path, dict]] = pytest.StashKey()


def _results(session: pytest.Session) -> dict[Path, dict]:
    """Runs lit at the first call; returns its verdicts by path."""
    if RESULTS not in session.stash:
        paths = [item.path for item in session.items if isinstance(item, LitItem)]
        session.stash[RESULTS] = _run_lit(paths)
    return session.stash[RESULTS]


def _run_lit(paths: list[Path]) -> dict[Path, dict]:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = [sys.executable, "-c", "from lit.main import main; main()", "-q"]
        command += ["-j", str(min(2, os.cpu_count() or 1)), "-o", str(report)]
        run = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True)
        if not report.exists():
            raise LitFailure(f"lit did not run:\n{run.stdout}{run.stderr}")
        tests = json.loads(report.read_text())["tests"]
    return {LIT / test["name"].split(" :: ")[1]: test for test in tests}
