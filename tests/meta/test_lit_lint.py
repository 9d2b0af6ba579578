"""Lit tests are written so that they can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

LIT = Path(__file__).parents[1] / "lit"

spec = importlib.util.spec_from_file_location("lit_lint", LIT / "lint.py")
lint = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lint)

RUN = "// RUN: ssft-opt %s --cse | filecheck %s\n"


def test_our_lit_tests_are_clean():
    assert any(LIT.rglob("*.mlir")), "no lit tests found: has the directory moved?"
    assert lint.lint(LIT) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("// CHECK: module\n", "1: there is no RUN line"),
        (RUN, "1: no checks for the prefix 'CHECK'"),
        (RUN.replace("filecheck", "filecheck --check-prefix=X") + "// CHECK: a\n", "'CHECK:'"),
        (RUN.replace("%s\n", "%s --check-prefixes=A,B\n") + "// A: a\n", "prefix 'B'"),
        (RUN + "// CHECK: a\n// CHECK-NXT: b\n", "3: unknown directive 'CHECK-NXT:'"),
        (RUN + "// CHECK: return %0 : i32\n", "2: numbered SSA value"),
        (RUN + "// CHECK: a\n// expected-error {{b}}\n", "3: 'expected-…' without"),
        ("// RUN: ssft-opt %s --cse\n// CHECK: a\n", "2: no RUN line uses the prefix"),
        ("// RUN: ssft-opt %s --cse\n", "1: nothing is checked: ssft-opt %s --cse"),
    ],
)
def test_faults_are_found(text: str, problem: str):
    found = lint.problems(text)
    assert any(problem in message for message in found), found


@pytest.mark.parametrize(
    "text",
    [
        RUN + "// CHECK-LABEL: func.func @f\n// CHECK-NEXT: %[[R:.*]] = a.b\n// CHECK-NOT: c\n",
        RUN + "// CHECK-COUNT-2: a\n// CHECK-DAG: b %{{.*}}\n",
        "// RUN: ssft-opt %s | \\\n// RUN: filecheck %s --check-prefix=X\n// X: a\n",
        "// RUN: ssft-opt %s -verify-diagnostics\n// expected-error@+1 {{a}}\n",
        "# RUN: ssft-opt --help | filecheck %s\n# CHECK: usage\n",
        "// RUN: not ssft-opt %s\n",
    ],
)
def test_good_tests_are_left_alone(text: str):
    assert lint.problems(text) == []
