"""A session trains as NumPy does, and answers every mistake with a message that says what to do."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime import Session
from ssft.runtime.plan_text import PlanIdentity

sys.path.insert(0, str(Path(__file__).parent))

from plans import Reference, batch, plan_text, weights, write_plan


@pytest.fixture
def session() -> Session:
    return Session.from_text(plan_text(), weights())


def test_training_matches_numpy(session: Session) -> None:
    reference = Reference()
    for number in range(5):
        assert session.step_count == number
        assert session.step(batch()) == pytest.approx(reference.step(batch()), rel=1e-5)
        np.testing.assert_allclose(session.gradients["weight"], reference.gradient, rtol=1e-4)
    state = session.state_dict()
    np.testing.assert_allclose(state["weight"], reference.weights["weight"], rtol=1e-5)
    momentum = session.optimizer_state()["weight"]["momentum_buffer"]
    np.testing.assert_allclose(momentum, reference.momentum, rtol=1e-4)
    assert session.metrics == {"next_step": 5.0}


def test_frozen_bytes_never_change(session: Session) -> None:
    session.step(batch())
    state = session.state_dict()
    assert state["table"].tobytes() == weights()["table"].tobytes()
    assert np.array_equal(state["output.table"], state["table"]), "tied parameters are listed"


def test_what_a_session_gives_out_is_a_copy(session: Session) -> None:
    session.state_dict()["weight"][:] = 0
    session.optimizer_state()["weight"]["momentum_buffer"][:] = 9
    assert np.array_equal(session.state_dict()["weight"], weights()["weight"])
    assert not session.optimizer_state()["weight"]["momentum_buffer"].any()


def test_evaluation_changes_nothing(session: Session) -> None:
    reference = Reference()
    assert session.evaluate(batch()) == pytest.approx(reference.loss(batch()), rel=1e-5)
    assert session.step_count == 0
    assert np.array_equal(session.state_dict()["weight"], weights()["weight"])
    session.step(batch())
    reference.step(batch())
    assert session.evaluate(batch()) == pytest.approx(reference.loss(batch()), rel=1e-5)


def test_learning_rate_can_be_changed(session: Session) -> None:
    assert session.learning_rate == 0.1
    session.learning_rate = 0.01
    reference = Reference()
    session.step(batch())
    reference.step(batch(), 0.01)
    np.testing.assert_allclose(
        session.state_dict()["weight"], reference.weights["weight"], rtol=1e-6
    )


def test_seed_can_be_changed(session: Session) -> None:
    assert session.seed == 0
    session.seed = 7
    assert session.seed == 7


def test_inputs_are_converted_within_their_kind(session: Session) -> None:
    values = batch()
    reference = Reference()
    other = {
        "ids": values["ids"].astype(np.int32)[::-1][::-1],
        "target": np.asfortranarray(values["target"].astype(np.float64)),
    }
    assert session.step(other) == pytest.approx(reference.step(values), rel=1e-5)


def test_tensors_are_used_where_they_are(session: Session) -> None:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value) for name, value in batch().items()}
    assert session.step(tensors) == pytest.approx(Reference().step(batch()), rel=1e-5)
    assert session._inputs["target"].ctypes.data == tensors["target"].data_ptr()


def expect(message: str, action: Callable[[], object]) -> UserError:
    with pytest.raises(UserError) as caught:
        action()
    assert message in caught.value.message
    return caught.value


def changed(**values: object) -> dict[str, object]:
    return {name: value for name, value in {**batch(), **values}.items() if value is not None}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (changed(ids=None), "the batch lacks 'ids'"),
        (changed(mask=np.zeros(4)), "unknown key 'mask'"),
        (changed(ids=np.zeros(5, np.int64)), "'ids' has the shape [5]"),
        (changed(ids=np.zeros((4, 1), np.int64)), "'ids' has the shape [4, 1]"),
        (changed(ids=np.zeros(4)), "'ids' has elements of type float64"),
        (changed(ids=np.zeros(4, np.bool_)), "'ids' has elements of type bool"),
        (changed(target=np.zeros((4, 2), np.int64)), "'target' has elements of type int64"),
        (changed(ids=np.array([0, 1, 5, 0])), "'ids' holds 5 at [2]"),
        (changed(ids=np.array([0, -1, 0, 0])), "'ids' holds -1 at [1]"),
    ],
)
def test_batch_that_does_not_fit(session: Session, values: dict[str, object], message: str) -> None:
    expect(message, lambda: session.step(values))
    assert session.step_count == 0
    assert np.array_equal(session.state_dict()["weight"], weights()["weight"])


def test_label_to_ignore_is_legal() -> None:
    text = plan_text().replace("array<i64: 0, 5>", "array<i64: 0, 5>, ssft.ignore = -100 : i64")
    signature = Session.from_text(text, weights()).signature
    from ssft.compiler.buffers import batch_arrays

    values = changed(ids=np.array([0, -100, 4, 0]))
    assert batch_arrays(signature.inputs, values)["ids"][1] == -100
    error = expect(
        "holds -99", lambda: batch_arrays(signature.inputs, changed(ids=np.full(4, -99)))
    )
    assert "-100 to ignore" in error.notes[0]


def test_loss_that_is_not_finite(session: Session) -> None:
    broken = changed(target=np.full((4, 2), np.nan, np.float32))
    expect("the loss is nan at step 1", lambda: session.step(broken))
    session.allow_non_finite = True
    assert np.isnan(session.step(broken))


def test_plan_file_with_its_sidecar(tmp_path: Path) -> None:
    session = Session(write_plan(tmp_path))
    assert session.step(batch()) == pytest.approx(Reference().step(batch()), rel=1e-5)


def test_missing_sidecar(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    (tmp_path / "plan.safetensors").unlink()
    expect("are missing", lambda: Session(path))


def test_other_sidecar(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    with (tmp_path / "plan.safetensors").open("ab") as stream:
        stream.write(b"\0")
    expect("does not hold the weights", lambda: Session(path))


def test_sidecar_outside_the_folder(tmp_path: Path) -> None:
    entry = 'ssft.weights = {file = "../plan.safetensors", sha256 = "00"},'
    path = write_plan(tmp_path, plan_text(weights_file=entry))
    expect("is not a file name", lambda: Session(path))


def test_plan_without_weights(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plan_text())
    expect("without weights", lambda: Session(path))


def test_truncated_plan(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    error = expect("is not a complete plan", lambda: Session(path))
    assert error.location is not None
    assert error.location.line > 1


def test_missing_plan(tmp_path: Path) -> None:
    expect("cannot read plan", lambda: Session(tmp_path / "nothing.mlir"))


def test_binary_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.mlir").write_bytes(b"ML\xefR\xff\xfe")
    expect("it is not text", lambda: Session(tmp_path / "plan.mlir"))


def test_plan_of_another_version(tmp_path: Path) -> None:
    path = write_plan(tmp_path, plan_text(version="ssft.version = 99 : i64,"))
    expect("version 99", lambda: Session(path))


def test_weights_of_another_shape() -> None:
    broken = weights() | {"weight": np.zeros((3, 3), np.float32)}
    expect("weight 'weight' is [3, 3] f32", lambda: Session.from_text(plan_text(), broken))


def test_unknown_device() -> None:
    expect("unknown device", lambda: Session.from_text(plan_text(), weights(), "tpu"))
    for device in ("cpu:fast", "cpu:high,medium", "cpu:blas,loops"):
        expect(f"cannot read the device '{device}'",
               lambda device=device: Session.from_text(plan_text(), weights(), device))  # fmt: skip


def test_checkpoint_continues_exactly(session: Session, tmp_path: Path) -> None:
    session.step(batch())
    session.learning_rate, session.seed = 0.05, 3
    session.save(tmp_path / "run.ckpt")
    wanted = [session.step(batch()) for _ in range(3)]
    other = Session.from_text(plan_text(), weights())
    other.load(tmp_path / "run.ckpt")
    assert (other.step_count, other.learning_rate, other.seed) == (1, 0.05, 3)
    assert [other.step(batch()) for _ in range(3)] == wanted


def test_checkpoint_of_another_plan(session: Session, tmp_path: Path) -> None:
    session.save(tmp_path / "run.ckpt")
    other = Session.from_text(plan_text().replace("0.5 : f32", "0.25 : f32"), weights())
    expect("belongs to another plan", lambda: other.load(tmp_path / "run.ckpt"))


def test_checkpoint_of_the_plan_written_otherwise(session: Session, tmp_path: Path) -> None:
    """Where the model lay, what the files are called and source locations tell no plans apart."""
    session.step(batch())
    session.save(tmp_path / "run.ckpt")
    text = plan_text(weights_file='ssft.source = "elsewhere/model.py",') + "// a comment"
    other = Session.from_text(text, weights())
    other.load(tmp_path / "run.ckpt")
    assert other.step(batch()) == session.step(batch())


def test_weights_tell_plans_apart_and_their_files_do_not(tmp_path: Path) -> None:
    entry = 'ssft.weights = {{file = "{}", sha256 = "{}"}},'
    texts = [
        plan_text(weights_file=entry.format(*named))
        for named in (("a", "0"), ("b", "0"), ("a", "1"))
    ]
    one, renamed, other = (PlanIdentity(text) for text in texts)
    assert one.step == renamed.step != other.step


def test_checkpoint_of_an_earlier_version(session: Session, tmp_path: Path) -> None:
    """It has the hash of the plan's text alone."""
    session.step(batch())
    session.save(tmp_path / "run.ckpt")
    file = read_safetensors(tmp_path / "run.ckpt")
    old = {key: value for key, value in file.metadata.items() if key != "step"}
    write_safetensors(tmp_path / "old.ckpt", file.arrays, old)
    other = Session.from_text(plan_text(), weights())
    other.load(tmp_path / "old.ckpt")
    assert other.step_count == 1
    changed = Session.from_text(plan_text() + "// a comment", weights())
    error = expect("belongs to another plan", lambda: changed.load(tmp_path / "old.ckpt"))
    assert "earlier version" in error.notes[-1]


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_truncated_checkpoint_changes_nothing(session: Session, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "run.ckpt"
    session.step(batch())
    session.save(path)
    path.write_bytes(path.read_bytes()[:kept])
    before = session.state_dict()["weight"]
    expect("not a complete safetensors file", lambda: session.load(path))
    assert np.array_equal(session.state_dict()["weight"], before)


def test_weights_are_no_checkpoint(session: Session, tmp_path: Path) -> None:
    write_plan(tmp_path)
    expect("is not a checkpoint", lambda: session.load(tmp_path / "plan.safetensors"))


def test_weights_of_elsewhere(session: Session, tmp_path: Path) -> None:
    """By any name of a tied parameter; a file that does not fit changes nothing."""
    new = {name: Array("f32", data + 1) for name, data in weights().items()}
    path = tmp_path / "new.safetensors"
    write_safetensors(path, {"weight": new["weight"], "output.table": new["table"]})
    session.load_weights(path)
    fresh = Session.from_text(plan_text(), new)
    assert [session.step(batch()) for _ in range(2)] == [fresh.step(batch()) for _ in range(2)]
    before = session.state_dict()
    for arrays, message in (
        ({"weight": new["weight"]}, "lacks 'table'"),
        ({**new, "table": Array("f64", weights()["table"].astype(np.float64))}, "is [5, 3] f64"),
        ({**new, "table": Array("f32", np.zeros((3, 5), np.float32))}, "is [3, 5] f32"),
    ):
        write_safetensors(path, arrays)
        expect(message, lambda: session.load_weights(path))
    assert all(np.array_equal(before[name], data) for name, data in session.state_dict().items())


def test_full_disk_keeps_the_old_checkpoint(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    session.save(path)
    before = path.read_bytes()
    session.step(batch())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    error = expect("No space left on device", lambda: session.save(path))
    assert error.exit_code == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"
