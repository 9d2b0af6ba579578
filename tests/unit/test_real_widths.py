"""Published layer shapes compile without weights, and train as many parameters as by hand.

S2FT with ratio 0.05 trains two of 32 or 40 heads, one of 12 or 8, and a twentieth of the FFN.
"""

from __future__ import annotations

import json

import pytest

from ssft.compiler.tools.ssftc import main

MODEL_FILE = """
import real_widths

def model():
    return real_widths.model({name!r})

def batch():
    return real_widths.batch({name!r})
"""


def llama(hidden: int, ffn: int, groups: int, vocabulary: int) -> int:
    """Parameters of one layer with heads of 128, two norms, the last norm, embedding and head."""
    attention = 2 * hidden * hidden + 2 * hidden * groups * 128
    return attention + 3 * hidden * ffn + 3 * hidden + 2 * vocabulary * hidden


def attention(width: int, biases: int = 4) -> int:
    return 4 * width * width + biases * width


BERT = (30522 + 512 + 2 + 2) * 768 + attention(768) + 2 * 768 * 3072 + 3072 + 768 + 2 * 2 * 768
WHISPER_FFN = 2 * 512 * 2048 + 2048 + 512
TOTAL = {
    "llama-2-7b": llama(4096, 11008, 32, 32000),
    "llama-2-13b": llama(5120, 13824, 40, 32000),
    "llama-3-8b": llama(4096, 14336, 8, 128256),
    # Embeddings and one layer with three norms in all, pooler, and a head of two classes.
    "bert-base": BERT + 768 * 768 + 768 + 2 * 768 + 2,
    # Three attentions and two FFNs, five norms and two last ones, two tables of relative biases.
    "t5-base": 32128 * 768 + 3 * attention(768, 0) + 4 * 768 * 3072 + 7 * 768 + 2 * 32 * 12,
    # Keys have no bias. Convolutions, positions, and norms: two, three and the two last ones.
    "whisper-base": 3 * attention(512, 3) + 2 * WHISPER_FFN + 7 * 2 * 512
    + 512 * 80 * 3 + 512 + 512 * 512 * 3 + 512 + (1500 + 448 + 51865) * 512,
    "mpt-7b": 50432 * 4096 + attention(4096, 0) + 8 * 4096 * 4096 + 3 * 4096,
}  # fmt: skip
TRAINABLE = {
    "llama-2-7b": (2 * 128 + 550) * 4096,
    "llama-2-13b": (2 * 128 + 691) * 5120,
    "llama-3-8b": (2 * 128 + 717) * 4096,
    "bert-base": (64 + 154) * 768 + 38 * 2,
    "t5-base": (3 * 64 + 2 * 154) * 768,
    "whisper-base": (3 * 64 + 2 * 102) * 512,
    "mpt-7b": (2 * 128 + 819) * 4096,
}


@pytest.mark.parametrize("name", TRAINABLE)
def test_parameters_that_train(name, tmp_path, capsys):
    file = tmp_path / "model.py"
    file.write_text(MODEL_FILE.format(name=name))
    command = [str(file), "--abstract", "--recipe", "s2ft", "--ratio", "0.05", "--report", "-"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["total_parameters"] == TOTAL[name]
    assert report["trainable_parameters"] == TRAINABLE[name]
    assert report["dense"]["flops"]["forward"] == report["flops"]["forward"] > 0
    assert report["flops"]["weight_gradient"] < 0.06 * report["dense"]["flops"]["weight_gradient"]
