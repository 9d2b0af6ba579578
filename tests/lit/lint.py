"""Finds lit tests that could not fail, or that fail for the wrong reason.

`filecheck` takes an unknown directive for a comment, and a test without a RUN line or without
checks passes whatever the tool prints; both have hidden bugs in other compilers.
"""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = {"NEXT", "SAME", "LABEL", "DAG", "NOT", "EMPTY"}

_RUN = re.compile(r"(?://|#)\s*RUN:\s*(.*)")
_DIRECTIVE = re.compile(
    r"^\s*(?://|#)\s*(?P<name>[A-Z][A-Z0-9_-]*)(?P<count>-COUNT-\d+)?:(?P<text>.*)"
)
_PREFIX_OPTION = re.compile(r"--?check-prefix(?:es)?[= ](\S+)")
_NUMBERED_VALUE = re.compile(r"(?<!\w)%\d+\b")


def problems(text: str) -> list[str]:
    """Returns what is wrong with a test file, one ``line: message`` each."""
    runs = _run_lines(text)
    if not runs:
        return ["1: there is no RUN line"]
    used = _prefixes(runs)
    found = _directive_problems(text, used)
    found += _expectation_problems(text, runs)
    if not used and not re.search(r"expected-(error|warning|remark|note)", text):
        silent = [
            run for run in runs if not re.search(r"filecheck|FileCheck|\bnot\b|diff|cmp", run)
        ]
        found += [f"1: nothing is checked: {run}" for run in silent]
    return found


def lint(root: Path) -> list[str]:
    """Returns the problems of all tests below `root`."""
    files = [p for p in sorted(root.rglob("*")) if p.suffix in {".mlir", ".test"} and _is_test(p)]
    return [f"{path.relative_to(root)}:{p}" for path in files for p in problems(path.read_text())]


def _is_test(path: Path) -> bool:
    return not {"Inputs", "Output"} & set(path.parts)


def _run_lines(text: str) -> list[str]:
    """RUN lines, with continuations joined."""
    joined = re.sub(r"\\\n\s*(?://|#)\s*RUN:", " ", text)
    return [match.group(1).strip() for match in map(_RUN.search, joined.split("\n")) if match]


def _prefixes(runs: list[str]) -> set[str]:
    used: set[str] = set()
    for run in runs:
        for stage in re.split(r"\|", run):
            if re.match(r"\s*(not\s+)?(filecheck|FileCheck)\b", stage):
                given = _PREFIX_OPTION.findall(stage)
                used |= {name for names in given for name in names.split(",")} or {"CHECK"}
    return used


def _directive_problems(text: str, used: set[str]) -> list[str]:
    """Unused prefixes, prefixes without checks, unknown suffixes, numbered SSA values."""
    found = []
    positive: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        match = _DIRECTIVE.match(line)
        if not match or match["name"] in {"RUN", "REQUIRES", "UNSUPPORTED", "XFAIL"}:
            continue
        name = match["name"]
        base = next((p for p in sorted(used, key=len, reverse=True) if _belongs(name, p)), None)
        if base is None:
            if name.startswith("CHECK"):
                found.append(f"{number}: no RUN line uses the prefix of '{name}:'")
            continue
        suffix = name[len(base) + 1 :]
        if suffix and suffix not in SUFFIXES and not re.fullmatch(r"COUNT-\d+", suffix):
            found.append(f"{number}: unknown directive '{name}:'")
        positive.add(base)
        if _NUMBERED_VALUE.search(match["text"]):
            found.append(f"{number}: numbered SSA value; capture it by name: {line.strip()}")
    found += [f"1: no checks for the prefix '{prefix}'" for prefix in sorted(used - positive)]
    return found


def _belongs(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + "-")


def _expectation_problems(text: str, runs: list[str]) -> list[str]:
    if any(re.search(r"--?verify-diagnostics", run) for run in runs):
        return []
    return [
        f"{number}: 'expected-…' without -verify-diagnostics"
        for number, line in enumerate(text.split("\n"), 1)
        if re.search(r"//\s*expected-(error|warning|remark|note)", line)
    ]
