"""What is learned, what must not be forgotten, and how both are measured.

Learned: which of six packages of the standard library a docstring comes from
(`minilm_docstrings/data.py`).
Forgotten: MiniLM was published as an encoder of sentences, and before fine-tuning it finds, for
the first sentence of a docstring, the rest of that docstring among 100 of other packages.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "minilm_docstrings"))

import data as docstrings_data
import model as model_file

BATCH, SEQUENCE = 16, 32
SPLITS = {"train": 48, "validation": 24, "test": 48}
"""Docstrings per package."""

OTHER_PACKAGES = (
    *("collections", "concurrent", "ctypes", "encodings", "http", "multiprocessing"),
    *("tkinter", "urllib", "wsgiref", "xmlrpc"),
)
PAIRS = 100
FIRST, REST = 5, 8
"""Words that the first sentence and the rest of a docstring have at least."""

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scores:
    """Shares between 0 and 1, and the mean cosine distance of embeddings to those of before.

    `test` is what was learned, `retrieval` what is left of what the encoder could do.
    """

    test: float
    retrieval: float
    drift: float


@cache
def texts(split: str) -> list[tuple[str, int]]:
    """(docstring, class) pairs of a split, the same at each call."""
    sizes = list(SPLITS.values())
    number = list(SPLITS).index(split)
    start = sum(sizes[:number])
    pairs = []
    for label, package in enumerate(docstrings_data.PACKAGES):
        found = docstrings_data.docstrings(package)
        random.Random(0).shuffle(found)
        pairs += [(text, label) for text in found[start : start + sizes[number]]]
    return pairs


@cache
def sentence_pairs() -> tuple[list[str], list[str]]:
    """First sentences of docstrings of other packages, and what follows them."""
    found = []
    for package in OTHER_PACKAGES:
        for text in docstrings_data.docstrings(package):
            first, dot, rest = text.partition(". ")
            if dot and len(first.split()) >= FIRST and len(rest.split()) >= REST:
                found.append((first, rest))
    random.Random(0).shuffle(found)
    chosen = dict(found[: 2 * PAIRS])  # one of those with the same first sentence
    firsts = list(chosen)[:PAIRS]
    return firsts, [chosen[first] for first in firsts]


@cache
def _tokenizer():
    copy = type(docstrings_data.tokenizer()).from_str(docstrings_data.tokenizer().to_str())
    copy.enable_truncation(SEQUENCE)
    copy.enable_padding(length=SEQUENCE)
    return copy


def encode(sentences: list[str]) -> Batch:
    """Tokens and their mask, int64 [sentences, SEQUENCE]."""
    encodings = _tokenizer().encode_batch(sentences)
    return {
        "input_ids": np.array([e.ids for e in encodings], dtype=np.int64),
        "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),
    }


def training_batches(seed: int) -> Iterator[Batch]:
    """Batches for ever, in a new order at each turn through the training data."""
    pairs = list(texts("train"))
    order = random.Random(seed)
    while True:
        order.shuffle(pairs)
        for start in range(0, len(pairs) - BATCH + 1, BATCH):
            part = pairs[start : start + BATCH]
            labels = np.array([label for _, label in part], dtype=np.int64)
            yield encode([text for text, _ in part]) | {"labels": labels}


def new_model(seed: int, layers: int | None = None) -> nn.Module:
    """MiniLM with a new head of that seed; only its first `layers`, if given."""
    model = model_file.model()
    if layers is not None:
        model.bert.encoder.layer = model.bert.encoder.layer[:layers]
    torch.manual_seed(seed)
    nn.init.normal_(model.classifier.weight, std=0.02)
    return model.train()


class Judge:
    """Measures models; `before` is the encoder that nothing has trained yet."""

    def __init__(self, before: nn.Module, share: float = 1.0) -> None:
        self._share = share
        self._before = [self._embeddings(before, part) for part in sentence_pairs()]

    def scores(self, model: nn.Module) -> Scores:
        """All scores of a model for sequence classification whose encoder is ``bert``."""
        first, rest = (self._embeddings(model, part) for part in sentence_pairs())
        drift = 1 - F.cosine_similarity(first, self._before[0]).mean()
        return Scores(
            self.accuracy(model, "test"),
            _retrieval(first, rest),
            round(float(drift), 6),
        )

    def before(self) -> float:
        """Retrieval before fine-tuning."""
        return _retrieval(*self._before)

    @torch.no_grad()
    def accuracy(self, model: nn.Module, split: str) -> float:
        """Share of a split's docstrings whose package is named rightly; chance is one sixth."""
        pairs = self._part(texts(split))
        guesses = [
            model(**batch).logits.argmax(dim=1) for batch in _batches([text for text, _ in pairs])
        ]
        labels = torch.tensor([label for _, label in pairs])
        return round(float((torch.cat(guesses) == labels).double().mean()), 6)

    @torch.no_grad()
    def _embeddings(self, model: nn.Module, sentences: list[str]) -> Tensor:
        """Mean of the last hidden states over each sentence's tokens, as the model's card says."""
        found = []
        for batch in _batches(self._part(sentences)):
            hidden = model.bert(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            found.append((hidden * mask).sum(1) / mask.sum(1))
        return F.normalize(torch.cat(found), dim=1)

    def _part(self, items: list) -> list:
        return items[:: round(1 / self._share)]


def _batches(sentences: list[str], size: int = 64) -> Iterator[dict[str, Tensor]]:
    for start in range(0, len(sentences), size):
        batch = encode(sentences[start : start + size])
        yield {name: torch.from_numpy(array) for name, array in batch.items()}


def _retrieval(first: Tensor, rest: Tensor) -> float:
    """How often the nearest rest (by cosine) is the right one."""
    nearest = (first @ rest.T).argmax(dim=1)
    return round(float((nearest == torch.arange(len(first))).double().mean()), 6)
