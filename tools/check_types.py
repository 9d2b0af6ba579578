#!/usr/bin/env python3
"""Runs pyright over the four source roots, and then checks the check.

A type checker that is set up wrongly reports no errors because it sees no types. So this also fails
if pyright left out a source file, and if it does not object to a file with known mistakes in it,
which can only be seen by somebody who has found our packages and the stubs in typings/.

Usage: python tools/check_types.py  (in an environment with pyright and the project's dependencies)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
ROOTS = ("compiler", "dialects", "runtime", "hwmodel")

MISTAKES = """
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import PassManager, ext, ir, rewrite

def _mistakes(op: ir.Operation, value: ir.Value[ir.RankedTensorType]) -> None:
    op.no_such_attribute  # expected: Cannot access attribute "no_such_attribute"
    value.type.no_such_attribute  # expected: for class "RankedTensorType"
    op.operands[0].no_such_attribute  # expected: for class "Value
    rewrite.RewritePatternSet(1)  # expected: cannot be assigned to parameter "context"
    PassManager.parse(1)  # expected: cannot be assigned to parameter "pipeline"
    ext.Dialect.load(1)  # expected: Expected 0 positional arguments
    UserError(1)  # expected: cannot be assigned to parameter "message"
"""


def pyright(*arguments: str) -> dict[str, Any]:
    """Runs pyright with this interpreter's packages; returns its JSON report."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    result = subprocess.run(
        [*command, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    try:
        return json.loads(result.stdout)
    except json.JSONDecodeError:
        sys.exit(f"check_types: error: pyright did not run\n{result.stdout}{result.stderr}")


def errors_of(report: dict[str, Any]) -> list[tuple[str, int, str]]:
    """(file, line, message) for each error."""
    return [
        (item["file"], item["range"]["start"]["line"] + 1, item["message"])
        for item in report["generalDiagnostics"]
        if item["severity"] == "error"
    ]


def missed_mistakes() -> list[str]:
    """What pyright should have said about `MISTAKES` and did not."""
    with tempfile.TemporaryDirectory() as directory:
        planted = Path(directory, "planted_mistakes.py")
        planted.write_text(MISTAKES)
        found = {line: message for _, line, message in errors_of(pyright(str(planted)))}
    expected = {
        number: line.partition("# expected: ")[2]
        for number, line in enumerate(MISTAKES.splitlines(), 1)
        if "# expected: " in line
    }
    missed = [text for line, text in expected.items() if text not in found.get(line, "")]
    unexpected = [message for line, message in found.items() if line not in expected]
    return missed + unexpected


def main() -> int:
    """Prints what is wrong, one line each; returns the exit code."""
    sources = sum(1 for root in ROOTS for _ in (REPOSITORY / root).rglob("*.py"))
    report = pyright()
    errors = errors_of(report)
    for file, line, message in errors:
        first, *_ = message.splitlines()
        print(f"{Path(file).relative_to(REPOSITORY)}:{line}: error: {first}")
    looked_at = report["summary"]["filesAnalyzed"]
    if looked_at < sources:
        print(f"check_types: error: pyright looked at {looked_at} of {sources} source files")
    missed = missed_mistakes()
    for text in missed:
        print(f"check_types: error: about a planted mistake pyright should say: {text}")
    print(f"{looked_at} files, {len(errors)} errors")
    return 1 if errors or missed or looked_at < sources else 0


if __name__ == "__main__":
    sys.exit(main())
