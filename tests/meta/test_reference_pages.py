"""docs/reference/ says what the sources say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "docs" / "reference"


def stale(committed: Path, fresh: Path) -> list[str]:
    """Names of pages that differ, or are in one of the directories only."""

    def contents(directory: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in directory.glob("*.md")}

    old, new = contents(committed), contents(fresh)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def test_pages_are_current(tmp_path: Path):
    command = [sys.executable, "tools/gen_docs.py", "--directory", str(tmp_path)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert stale(PAGES, tmp_path) == [], "run `make docs` and commit the result"


def test_differences_are_found(tmp_path: Path):
    for directory, pages in {"old": "abc", "new": "bcd"}.items():
        (tmp_path / directory).mkdir()
        for page in pages:
            (tmp_path / directory / f"{page}.md").write_text("same" if page == "b" else directory)
    assert stale(tmp_path / "old", tmp_path / "new") == ["a.md", "c.md", "d.md"]
