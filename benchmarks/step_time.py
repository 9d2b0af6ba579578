"""Time of one training step: PyTorch eager against compiled plans, interleaved in one process.

Eager runs at its best settings: SDPA, fused AdamW, gradients freed by ``set_to_none``. Every
contender sees the same model, batch and clipping. Prints medians with the 10 % and 90 % quantiles
over ``--rounds`` rounds after two rounds of warm-up; ``--json`` writes them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from ssft.compiler import Recipe, compile
from ssft.runtime import Session

SIZES = {
    "T": dict(hidden=64, layers=2, heads=4, feed_forward=176, vocabulary=256, batch=2, length=16),
    "S": dict(
        hidden=256, layers=4, heads=8, feed_forward=704, vocabulary=4096, batch=4, length=128
    ),
    "M": dict(
        hidden=1024, layers=2, heads=16, feed_forward=2752, vocabulary=8192, batch=2, length=256
    ),
}
NORM = 1.0


def make_model(size: dict[str, int]) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size["vocabulary"],
        hidden_size=size["hidden"],
        intermediate_size=size["feed_forward"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        num_key_value_heads=size["heads"],
        max_position_embeddings=size["length"],
        attn_implementation="sdpa",
        use_cache=False,
    )
    return LlamaForCausalLM(config).train()


def make_batch(size: dict[str, int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (size["batch"], size["length"])
    ids = torch.randint(size["vocabulary"], shape, generator=generator)
    return {"input_ids": ids, "labels": ids.clone()}


def eager_step(size: dict[str, int]) -> Callable[[], float]:
    model, batch = make_model(size), make_batch(size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)

    def step() -> float:
        loss = model(**batch).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), NORM)
        optimizer.step()
        return float(loss.detach())

    return step


def plan_step(size: dict[str, int], recipe: Recipe) -> Callable[[], float]:
    batch = make_batch(size)
    plan = compile(
        make_model(size),
        batch,
        optimizer=lambda params: torch.optim.AdamW(params, lr=1e-4, weight_decay=0.0),
        recipe=recipe,
        max_grad_norm=NORM,
    )
    session = Session.from_text(plan.text(), plan.stored_weights())
    return lambda: session.step(batch)


def measure(steps: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Runs all contenders in turn, `rounds` times; returns seconds."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            start = perf_counter()
            step()
            if number >= 2:
                times[name].append(perf_counter() - start)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="S")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    size = SIZES[parsed.size]
    steps = {
        "eager, dense": eager_step(size),
        "plan, dense": plan_step(size, Recipe("full")),
        "plan, s2ft 5 %": plan_step(size, Recipe("s2ft", ratio=0.05)),
    }
    times = measure(steps, parsed.rounds)
    base = statistics.median(times["eager, dense"])
    result: dict[str, Any] = {
        "size": parsed.size,
        "threads": parsed.threads,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "contenders": {},
    }
    print(f"size {parsed.size}, {parsed.threads} threads, {parsed.rounds} rounds")
    for name, seconds in times.items():
        quantiles = statistics.quantiles(seconds, n=10)
        median = statistics.median(seconds)
        result["contenders"][name] = {
            "median": median,
            "p10": quantiles[0],
            "p90": quantiles[-1],
            "ratio": median / base,
        }
        print(
            f"{name:18} {1e3 * median:8.1f} ms  [{1e3 * quantiles[0]:.1f}, "
            f"{1e3 * quantiles[-1]:.1f}]  {median / base:.2f} of eager"
        )
    if parsed.json:
        parsed.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
