"""Machine code that goes wrong takes its process down: it runs in a worker, not in pytest."""

from __future__ import annotations

import multiprocessing
import runpy
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest


def call(path: str, name: str, *arguments: Any) -> Any:
    """Calls a function of a file by name; functions of test modules cannot be pickled.

    Nor can all exceptions: one comes back as its traceback's text, in a list.
    """
    try:
        return runpy.run_path(path)[name](*arguments)
    except Exception:
        return [traceback.format_exc()]


@pytest.fixture(scope="module")
def isolated(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """`isolated(name, ...)` calls function `name` of the test's module in a worker process.

    A crash of the worker fails the test that caused it, and the next test gets a new worker.
    """
    context = multiprocessing.get_context("spawn")
    pools = [ProcessPoolExecutor(1, mp_context=context)]

    def run(name: str, *arguments: Any) -> Any:
        try:
            result = pools[0].submit(call, str(request.path), name, *arguments).result(120)
        except Exception:
            pools[0].shutdown(wait=False, cancel_futures=True)
            pools[0] = ProcessPoolExecutor(1, mp_context=context)
            raise
        if isinstance(result, list):
            pytest.fail(result[0], pytrace=False)
        return result

    yield run
    pools[0].shutdown(wait=False)
