"""Plans train what PyTorch trains on every instruction set and with any number of threads.

A part of what `test_plan_equivalence` does on the host's best set; that file and the others run on
another one with ``SSFT_TEST_DEVICE=cpu:avx2``, and on one thread with ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers as hf
from side_by_side import Captured, capture_example, train_both
from small_models import captured

from ssft.compiler import Recipe, UserError
from ssft.compiler.backends.cpu.gemm.isa import select
from ssft.compiler.plan import Plan

DEVICES = ("cpu:emitted", "cpu:avx2")
THREADS = (1, 2)
Case = tuple[Captured, Plan]


def bert() -> Captured:
    """MiniLM's architecture, small: post-norm, GELU, biases, a tied decoder."""
    torch.manual_seed(0)
    config = hf.BertConfig(
        vocab_size=96,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = "sdpa"
    ids = torch.randint(96, (3, 20))
    made = captured(hf.BertForMaskedLM(config).train(), {"input_ids": ids, "labels": ids.clone()})
    return made


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    llama, small = capture_example("hf_llama_gqa_sdpa.py", "f32"), bert()
    return {
        "llama-gqa-f32": (llama, llama.compile(Recipe("union", ratio=0.2, seed=2))),
        "bert-f64": (small, small.compile(Recipe("s2ft", ratio=0.3))),
    }


@pytest.fixture(params=THREADS)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """PyTorch's threads are those of compiled steps: both use one OpenMP runtime."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["llama-gqa-f32", "bert-f64"])
def test_trains_the_same(cases: dict[str, Case], threads: int, name: str, device: str) -> None:
    try:
        select("avx2")
    except UserError:
        pytest.skip("this processor has none of the instruction sets")
    made, plan = cases[name]
    single = made.dtype == "f32"
    found = train_both(made, plan, 6, isolated=single, device=device)
    compared: tuple[Any, ...] = ("loss", "gradient", "moment") if single else ("loss", "weight")
    worst, what = found.largest(*compared)
    assert worst <= (1e-5 if single else 1e-12), what
    assert found.frozen_changed == []
    assert found.losses[-1] < found.losses[0]
