"""A step can be timed in three parts, which together are the step."""

from __future__ import annotations

import sys
from pathlib import Path

from ssft.compiler.backends.cpu import CpuProgram
from ssft.runtime import Session

sys.path.insert(0, str(Path(__file__).parent))

from plans import batch, plan_text, weights


def contents(session: Session, *roles: str) -> list[bytes]:
    arguments = session.signature.arguments
    return [session._arrays[a.index].tobytes() for a in arguments if a.role in roles]


def test_parts_are_the_step() -> None:
    whole, parts = (Session.from_text(plan_text(), weights()) for _ in range(2))
    program = parts._executor
    assert isinstance(program, CpuProgram)
    times = program.time_phases(parts._pointers(batch(), parts._outputs))
    assert list(times) == ["forward", "backward", "update"]
    assert min(times.values()) > 0
    assert parts._outputs.loss() == whole.step(batch())
    roles = ("trainable", "frozen", "state", "step")
    assert contents(parts, *roles) == contents(whole, *roles)


def test_parts_end_with_the_loss_and_before_the_first_update() -> None:
    """The first part alone computes the loss, and the first two change nothing that trains."""
    expected = Session.from_text(plan_text(), weights()).step(batch())
    session = Session.from_text(plan_text(), weights())
    program = session._executor
    assert isinstance(program, CpuProgram)
    loss, update = program._phase_ends()
    assert 0 < loss < update < len(program.schedule.calls)
    program._bind(session._pointers(batch(), session._outputs))
    before = contents(session, "trainable", "state")
    program._run(program._records_at, loss - 1)
    assert session._outputs.loss() != expected
    program._run(program._records_at, loss)
    assert session._outputs.loss() == expected
    program._run(program._records_at, update)
    assert contents(session, "trainable", "state") == before
    program._run(program._records_at, update + 1)
    assert contents(session, "trainable", "state") != before
