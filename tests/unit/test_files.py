"""Failures while output is written: nothing is lost, and the user is told."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import atomic_output, sha256_of, write_bytes, write_text


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_text_and_bytes(tmp_path):
    write_text(tmp_path / "a", "\u00fcber\n")
    write_bytes(tmp_path / "b", b"\x00\xff")
    assert (tmp_path / "a").read_bytes() == "\u00fcber\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a", "b"]


def test_text_is_utf8_in_any_locale(tmp_path):
    code = (
        "from ssft.compiler.files import write_text; import sys; write_text(sys.argv[1], '\\u00fc')"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "POSIX"}
    environment |= {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=True, env=environment)
    assert (tmp_path / "a").read_bytes() == b"\xc3\xbc"


def test_the_block_sees_nothing_of_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with atomic_output(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.read_bytes() == b""
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), ValueError("bug")])
def test_a_failing_block_changes_nothing(tmp_path, failure):
    path = tmp_path / "a"
    path.write_text("old")
    expected = UserError if isinstance(failure, OSError) else ValueError
    with pytest.raises(expected) as caught, atomic_output(path) as temporary:
        temporary.write_text("half of it")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]
    if isinstance(caught.value, UserError):
        assert caught.value.message == f"cannot write '{path}': No space left on device"
        assert "still there" in caught.value.notes[0]


FULL_DISK = """
import resource, sys
from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(sys.argv[1], "x" * 100_000)
except UserError as error:
    print(error.message)
"""


def test_a_real_full_disk(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "a"
    path.write_text("old")
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"cannot write '{path}': File too large\n"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_device_that_is_full():
    with pytest.raises(UserError, match="cannot write '/dev/full': No space left"):
        write_text("/dev/full", "x" * 100_000)


def test_a_missing_directory(tmp_path):
    with pytest.raises(UserError, match="No such file or directory"):
        write_text(tmp_path / "none" / "a", "text")


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(UserError, match="Is a directory"):
        write_text(tmp_path, "text")


def test_the_permissions_are_what_the_umask_says(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "text")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 1000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 1000).hexdigest()
