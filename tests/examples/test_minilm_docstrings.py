"""The MiniLM example: its data fits its model, is always the same, and can be learned."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
import torch

DIRECTORY = Path(__file__).parents[2] / "examples" / "minilm_docstrings"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"minilm_{name}", DIRECTORY / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model_file() -> ModuleType:
    return load("model")


@pytest.fixture(scope="module")
def data() -> ModuleType:
    return load("data")


def to_torch(batch) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_batches_have_the_form_of_the_example_batch(model_file, data, split):
    def form(batch):
        return {name: (tensor.shape, tensor.dtype) for name, tensor in batch.items()}

    assert form(to_torch(next(data.batches(split)))) == form(model_file.batch())


def test_there_is_a_class_for_each_package(model_file, data):
    assert len(data.PACKAGES) == model_file.CLASSES
    labels = torch.cat([to_torch(batch)["labels"] for batch in data.batches("held_out")])
    assert labels.bincount().tolist() == [data.HELD_OUT] * model_file.CLASSES


def test_nothing_held_out_is_trained_on(data):
    train, held_out = data.texts("train"), data.texts("held_out")
    assert len(train) == data.TRAIN * len(data.PACKAGES)
    assert not {text for text, _ in train} & {text for text, _ in held_out}


def test_the_seed_sets_the_order(data):
    def first_tokens(seed):
        return next(data.batches(seed=seed))["input_ids"].tolist()

    assert first_tokens(0) == first_tokens(0)
    assert first_tokens(0) != first_tokens(1)


def test_train_goes_on_after_a_turn(data):
    turn = data.TRAIN * len(data.PACKAGES) // data.BATCH
    *_, last = islice(data.batches(), turn + 1)
    assert last["input_ids"].shape == (data.BATCH, data.SEQUENCE)


def test_unknown_split_is_refused(data):
    with pytest.raises(KeyError, match="validation"):
        next(data.batches("validation"))


def test_fine_tuning_beats_chance(model_file, data):
    model = model_file.model()
    optimizer = model_file.optimizer(model.parameters())
    for group in optimizer.param_groups:
        group["lr"] = 5e-4  # the example's rate is for a sparse part; all weights want a lower one
    history = []
    for batch in islice(data.batches(), 8):
        loss = model(**to_torch(batch)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), model_file.max_grad_norm)
        optimizer.step()
        history.append(loss.item())
    with torch.no_grad():
        accuracy = data.accuracy(lambda batch: model(**to_torch(batch)).logits)
    assert sum(history[-2:]) < 0.9 * sum(history[:2])
    assert accuracy > 3 / model_file.CLASSES
