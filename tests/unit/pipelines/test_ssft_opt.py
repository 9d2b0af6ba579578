"""What lit cannot see of ssft-opt: exit codes, what it imports, files that it must not touch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ssft.compiler.tools.ssft_opt import main

REPOSITORY = Path(__file__).parents[3]
GOOD = "func.func @f() {\n  return\n}\n"
BAD = "func.func @f() {\n  return %nothing : i32\n}\n"


def tool(*words: str, text: str = GOOD, report: str = "") -> subprocess.CompletedProcess[str]:
    script = (
        "import sys; from ssft.compiler.tools.ssft_opt import main\n"
        f"code = main({list(words)!r})\n{report}\nsys.exit(code)"
    )
    path = ":".join(str(REPOSITORY / part) for part in ("compiler", "dialects"))
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env={"PYTHONPATH": path}, input=text, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["--cse"], GOOD, 0),
        (["--help"], "", 0),
        (["--cse"], BAD, 1),
        (["no/such/file.mlir"], "", 1),
        (["--no-such-flag"], GOOD, 2),
        (["--pass-pipeline=cse"], GOOD, 2),
        (["--cse", "--pass-pipeline=builtin.module(cse)"], GOOD, 2),
        (["--mlir-elide-elementsattrs-if-larger=x"], GOOD, 2),
        (["--emit-bytecode", "-split-input-file"], GOOD, 2),
    ],
)
def test_exit_codes(words, text, code, tmp_path, capsys):
    if text:
        file = tmp_path / "in.mlir"
        file.write_text(text)
        words = [*words, str(file), "-o", str(tmp_path / "out.mlir")]
    assert main(words) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--convert-ssft-to-linalg", "--cse", "--verify-roundtrip"], {"torch", "numpy"}),
        (["--pass-pipeline=builtin.module(func.func(cse),convert-ssft-to-linalg)"], {"numpy"}),
        (["--help"], {"torch"}),  # imports every pass, and what passes compute with is their affair
    ],
)
def test_neither_torch_nor_numpy_is_imported(words, absent):
    text = (
        "func.func @f(%x: tensor<4xf32>) -> tensor<2xf32> {\n"
        '  %s = "ssft.save_slice"(%x) {dim = 0 : i64, offset = 0 : i64, size = 2 : i64}\n'
        "    : (tensor<4xf32>) -> tensor<2xf32>\n"
        "  %r = linalg.exp ins(%s : tensor<2xf32>) outs(%s : tensor<2xf32>) -> tensor<2xf32>\n"
        "  return %r : tensor<2xf32>\n}\n"
    )
    report = f"print({absent!r} & set(sys.modules), file=sys.stderr)"
    run = tool(*words, text=text, report=report)
    assert run.returncode == 0
    assert run.stderr == "set()\n"


def test_start_up_takes_less_than_300_ms_of_cpu_time():
    """CPU time of the child, since the machine may be busy; the fastest of three."""
    report = (
        "import resource; usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(usage.ru_utime + usage.ru_stime, file=sys.stderr)"
    )
    times = [float(tool("--cse", report=report).stderr) for _ in range(3)]
    assert min(times) < 0.3, times


def test_a_failed_run_leaves_the_output_file_alone(tmp_path):
    source, output = tmp_path / "in.mlir", tmp_path / "out.mlir"
    source.write_text(BAD)
    output.write_text("old")
    assert main([str(source), "-o", str(output)]) == 1
    assert output.read_text() == "old"


def test_an_output_that_cannot_be_written_is_diagnosed(tmp_path, capsys):
    source = tmp_path / "in.mlir"
    source.write_text(GOOD)
    assert main([str(source), "-o", str(tmp_path / "no" / "out.mlir")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_closed_pipe_is_no_traceback():
    path = ":".join(str(REPOSITORY / part) for part in ("compiler", "dialects"))
    command = f"{sys.executable} -m ssft.compiler.tools.ssft_opt --help | true"
    run = subprocess.run(
        command, shell=True, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, capture_output=True
    )
    assert b"Traceback" not in run.stderr


def test_binary_rubbish_is_diagnosed(tmp_path, capsys):
    file = tmp_path / "in.mlir"
    file.write_bytes(b"\xff\xfe\x00rubbish")
    assert main([str(file)]) == 1
    assert "neither UTF-8 text nor MLIR bytecode" in capsys.readouterr().err
    file.write_bytes(b"ML\xefRrubbish")
    assert main([str(file)]) == 1
