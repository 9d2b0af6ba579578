"""Breaks one check of each lit test and expects the test to fail.

The RUN lines are run on a changed copy by the machinery that runs them on the original. The check
is chosen by a hash of the file's name, so that a run can be repeated and different files lose
different kinds of checks.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import pytest

LIT = Path(__file__).parents[1] / "lit"
CHECK = re.compile(r"^(\s*(?://|#)\s*[A-Z][A-Z0-9_-]*?(?:-[A-Z]+)?:)(.*)$")
EXPECTED = re.compile(r"(expected-(?:error|warning|remark|note)[^{]*\{\{)")
NEVER = "@@ this is never printed @@"


@pytest.fixture(scope="module")
def fork_format():
    sys.path.insert(0, str(LIT))
    try:
        import fork_format

        return fork_format
    finally:
        sys.path.remove(str(LIT))


def lit_files() -> list[Path]:
    files = [path for path in sorted(LIT.rglob("*")) if path.suffix in {".mlir", ".test"}]
    return [path for path in files if "Inputs" not in path.parts]


def breakable_lines(text: str) -> list[int]:
    """Numbers of lines with a check that must match something, or an expected diagnostic."""
    used = set(re.findall(r"--check-prefix(?:es)?=(\S+)", text.replace(",", " "))) or {"CHECK"}
    prefixes = tuple({prefix for names in used for prefix in names.split()} | {"CHECK"})
    found = []
    for number, line in enumerate(text.split("\n")):
        check = CHECK.match(line)
        name = check and check[1].strip(" /#:")
        positive = name and name.startswith(prefixes) and not name.endswith(("-NOT", "-EMPTY"))
        if positive or EXPECTED.search(line):
            found.append(number)
    return found


def broken(text: str, name: str) -> str | None:
    """Returns `text` with one check made impossible, or `None` if it has none."""
    candidates = breakable_lines(text)
    if not candidates:
        return None
    choice = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(candidates)
    lines = text.split("\n")
    number = candidates[choice]
    if EXPECTED.search(lines[number]):
        lines[number] = EXPECTED.sub(rf"\g<1>{NEVER}", lines[number], count=1)
    else:
        lines[number] = CHECK.sub(rf"\g<1> {NEVER}\g<2>", lines[number])
    return "\n".join(lines)


def run_lines(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*(?://|#)\s*RUN:", " ", text)
    return re.findall(r"(?://|#)\s*RUN:\s*(.*)", joined)


def passes(fork_format, file: Path, directory: Path, scratch: Path) -> bool | None:
    """Whether the RUN lines of `file` succeed; `None` if one of them needs a shell."""
    substitutions = {"%s": file, "%S": directory, "%t": scratch / "t"}
    for line in run_lines(file.read_text()):
        line = re.sub(r"%[sSt]\b", lambda match: str(substitutions[match.group()]), line)
        command = fork_format.parse_command(line)
        if command is None:
            return None
        if not fork_format.run_command(command, str(scratch)).ok:
            return False
    return True


@pytest.mark.parametrize("path", lit_files(), ids=lambda path: str(path.relative_to(LIT)))
def test_a_broken_check_is_noticed(fork_format, path: Path, tmp_path: Path):
    text = path.read_text()
    changed = broken(text, str(path.relative_to(LIT)))
    if changed is None:
        assert "CHECK" in text or re.search(r"RUN:.*\bnot\b", text), "nothing is checked"
        return  # only CHECK-NOT lines, or nothing but exit codes
    copy = tmp_path / path.name
    copy.write_text(changed)
    verdict = passes(fork_format, copy, path.parent, tmp_path)
    if verdict is None:
        pytest.skip("a RUN line needs a shell")
    assert verdict is False, f"this changed test still passes:\n{changed}"


def test_an_unbroken_test_passes_here(fork_format, tmp_path: Path):
    """Otherwise the test above would hold for the wrong reason."""
    path = LIT / "passes" / "convert-ssft-to-linalg" / "doctest.mlir"
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    assert passes(fork_format, copy, path.parent, tmp_path) is True
    copy.write_text(broken(path.read_text(), path.name))
    assert passes(fork_format, copy, path.parent, tmp_path) is False
