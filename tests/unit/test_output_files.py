"""Output files: whole or not at all; devices, pipes and links are what they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import has_place, write_text


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.mlir"
    path.write_text("old")

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError, match="disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mlir"]


def test_what_is_not_a_regular_file_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "through the pipe")
        assert os.read(reader, 100) == b"through the pipe"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_symbolic_link_is_followed(tmp_path):
    target, link = tmp_path / "target.mlir", tmp_path / "link.mlir"
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


WRITE = """
import sys
from ssft.compiler.files import write_text
print("before")
write_text(sys.argv[1], "through it\\n")
print("after")
"""


def writes(path: str, stdout: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WRITE, path],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1"])
def test_standard_output_by_name(path, tmp_path):
    """In turn with what is printed; a file that it is appended to keeps what it holds."""
    run = writes(path, subprocess.PIPE)
    assert (run.stdout, run.stderr) == ("before\nthrough it\nafter\n", "")
    log = tmp_path / "log"
    log.write_text("old\n")
    with log.open("a") as stream:
        run = writes(path, stream)
    assert (log.read_text(), run.stderr) == ("old\nbefore\nthrough it\nafter\n", "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["log"]


def test_a_place_is_where_files_may_lie_beside(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("/dev/null")
    assert has_place(tmp_path / "file") and has_place(tmp_path / "none")
    for path in ("/dev/null", tmp_path / "pipe", tmp_path / "link", tmp_path):
        assert not has_place(path)
