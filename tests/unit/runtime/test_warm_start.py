"""A session whose step is in the cache starts without parsing it, and is the same session."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ssft.compiler.backends.cpu import compile as cpu_compile
from ssft.compiler.backends.cpu import compile_step
from ssft.compiler.backends.cpu.cache.store import DIRECTORY
from ssft.compiler.diagnostics import UserError
from ssft.runtime import Session
from ssft.runtime import session as session_module

sys.path.insert(0, str(Path(__file__).parent))

from plans import batch, plan_text, weights, write_plan


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has whoever parses or compiles a plan fail; to be requested when the cache is filled."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a plan is parsed or compiled")

    monkeypatch.setattr(session_module, "parse_plan", refuse)
    monkeypatch.setattr(cpu_compile, "_compile", refuse)


def train(session: Session) -> list[object]:
    losses = [session.step(batch()) for _ in range(3)]
    return [losses, session.evaluate(batch()), session.state_dict()["weight"].tolist()]


def test_the_second_session_parses_nothing(request: pytest.FixtureRequest) -> None:
    first = Session.from_text(plan_text(), weights())
    expected = train(first)
    request.getfixturevalue("nothing_is_compiled")
    second = Session.from_text(plan_text(), weights())
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.signature == first.signature
    assert second.memory == first.memory
    assert train(second) == expected


def test_so_does_one_from_files(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = write_plan(tmp_path)
    expected = train(Session(path))
    request.getfixturevalue("nothing_is_compiled")
    assert train(Session(path)) == expected


def test_without_the_cache_nothing_is_read_or_written(cache: Path) -> None:
    expected = train(Session.from_text(plan_text(), weights(), cache=False))
    assert not cache.exists()
    assert train(Session.from_text(plan_text(), weights())) == expected
    assert not Session.from_text(plan_text(), weights(), cache=False).from_cache


def test_a_plan_of_another_version_is_refused_all_the_same() -> None:
    text = plan_text("ssft.version = 99 : i64,")
    compile_step(text)  # the compiler does not mind
    with pytest.raises(UserError, match="plan of version 99"):
        Session.from_text(text, weights())


def test_a_plan_that_was_cut_short_is_another_plan() -> None:
    Session.from_text(plan_text(), weights())
    with pytest.raises(UserError, match="not a complete plan"):
        Session.from_text(plan_text()[:-10], weights())


def test_weights_are_checked_all_the_same() -> None:
    Session.from_text(plan_text(), weights())
    with pytest.raises(UserError, match="the plan's weights lack 'table'"):
        Session.from_text(plan_text(), {"weight": weights()["weight"]})


def test_other_devices_keep_nothing(cache: Path) -> None:
    session = Session.from_text(plan_text(), weights(), "numpy")
    assert not session.from_cache and session.memory is None
    assert not cache.exists()
