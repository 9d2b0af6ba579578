"""A run repeated gives the same bits, as long as the number of threads is the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
import transformers as hf

from ssft.compiler import Plan, Recipe, compile
from ssft.runtime import Session

STEPS = 3


@cache
def made() -> tuple[Plan, dict[str, torch.Tensor]]:
    """A model large enough for threads to share its kernels."""
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=1,
        num_attention_heads=4,
        use_cache=False,
    )
    ids = torch.randint(512, (4, 64))
    batch = {"input_ids": ids, "labels": ids}
    model = hf.LlamaForCausalLM(config)
    return compile(model, batch, recipe=Recipe("s2ft", ratio=0.2), max_grad_norm=1.0), batch


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trained(device: str, threads: int) -> list[bytes]:
    """Everything that some steps change, of a session that compiles its step by itself."""
    torch.set_num_threads(threads)  # PyTorch's threads are those of compiled steps
    plan, batch = made()
    session = Session.from_text(plan.text(), plan.stored_weights(), device, cache=False)
    losses = [session.step(batch) for _ in range(STEPS)]
    assert len(set(losses)) == STEPS
    states = session.optimizer_state()
    arrays = [*session.state_dict().values(), *(a for s in states.values() for a in s.values())]
    return [repr(losses).encode(), *(array.tobytes() for array in arrays)]


@pytest.mark.parametrize("threads", [1, 2])
def test_twice(threads: int) -> None:
    assert trained("cpu", threads) == trained("cpu", threads)


def test_code_of_our_own_does_not_depend_on_the_number_of_threads() -> None:
    assert trained("cpu:emitted", 1) == trained("cpu:emitted", 2) == trained("cpu:emitted", 2)
