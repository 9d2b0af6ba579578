from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .steps import Step, parse


@pytest.fixture
def parse_step() -> Iterator[Callable[..., Step]]:
    """`parse`, keeping its modules alive until the test ends: operations do not."""
    alive: list[Step] = []

    def make(*args: str) -> Step:
        alive.append(parse(*args))
        return alive[-1]

    yield make
    alive.clear()
