"""The comparison of methods: it runs, resumes, repeats itself, and draws what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "minilm_quality"
METHODS = ("s2ft", "unstructured")


def run(directory: Path, *arguments: str) -> str:
    command = [sys.executable, EXAMPLE / "quality.py", "--quick", "-o", directory, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("quality")
    run(directory, "--methods", *METHODS)
    return directory


def test_equal_budgets_and_measures(results):
    summary = json.loads((results / "summary.json").read_text())
    assert set(summary["methods"]) == set(METHODS)
    first, second = (summary["methods"][name] for name in METHODS)
    assert first["trained"] == second["trained"] == 165_888 // 6 + 2_310
    for method in (first, second):
        assert 0 < method["test"]["mean"] < 1
        assert method["drift"]["mean"] > 0
        assert method["test"]["values"] == [method["test"]["mean"]]
    assert 0 < summary["retrieval_before"] < 1


def test_the_figure_is_a_picture(results):
    assert (results / "quality.png").read_bytes().startswith(b"\x89PNG")
    assert (results / "quality.png").stat().st_size > 10_000


def test_what_is_there_is_not_repeated_and_anew_it_is_the_same(results):
    file = results / "runs.json"
    found = json.loads(file.read_text())
    kept = found["runs"]["unstructured, seed 0"]
    kept["seconds"] = -1
    made = found["runs"].pop("s2ft, seed 0")
    file.write_text(json.dumps(found))
    run(results, "--methods", *METHODS)
    again = json.loads(file.read_text())["runs"]
    assert again["unstructured, seed 0"] == kept
    del made["seconds"], again["s2ft, seed 0"]["seconds"]
    assert again["s2ft, seed 0"] == made
