"""How long idle threads spin: OpenMP is told as it is loaded, unless the user has told it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from ssft.compiler.backends.cpu.libraries import SPINS, find_libraries

SCRIPT = """
import os
{first}
from ssft.compiler.backends.cpu import CpuOptions, compile_step
before = dict(os.environ)
compile_step('''func.func @step(%a: tensor<4xf32> {{ssft.role = "input", ssft.name = "a"}}) ->
    (tensor<4xf32> {{ssft.role = "metric", ssft.name = "v"}}) {{
  return %a : tensor<4xf32>
}}''', CpuOptions(gemm={gemm!r}, cache=False))
assert dict(os.environ) == before
"""


def spins(first: str = "", gemm: str = "blas", **environment: str) -> str:
    """What OpenMP says of itself when a process that compiles a step loads it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first=first, gemm=gemm)],
        env={**kept, **environment, "PYTHONPATH": ":".join(sys.path), "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"GOMP_SPINCOUNT = '(\w+)'", done.stderr)
    assert len(found) == 1, done.stderr
    return found[0]


pytestmark = pytest.mark.skipif(find_libraries().openmp is None, reason="there is no OpenMP")


@pytest.mark.parametrize("gemm", ["blas", "loops"])
def test_threads_soon_sleep(gemm: str) -> None:
    assert spins(gemm=gemm) == SPINS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("GOMP_SPINCOUNT", "123", "123"), ("OMP_WAIT_POLICY", "PASSIVE", "0")],
)
def test_the_users_wish_counts(name: str, value: str, expected: str) -> None:
    assert spins(**{name: value}) == expected


def test_torch_was_first() -> None:
    """Its OpenMP is ours, and has made up its mind."""
    assert spins(first="import torch") != SPINS
