"""Equal kernels that are written once and timed once, beside kernels one by one."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import transformers as hf

from ssft.compiler import compile
from ssft.compiler.backends.hw import compile_program
from ssft.compiler.backends.hw.stitch import pattern
from ssft.compiler.backends.hw.stitch.template import Template
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.isa import Program
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate

SIZES = {"hidden_size": 32, "num_attention_heads": 4, "vocab_size": 64, "use_cache": False}
LARGE, SMALL = "ssft-server", "scratchpad.bytes=32KiB"
"""Where everything stays in the scratchpad, and where layers pass through it."""

CASES = (
    *((LARGE, 4, "full"), ("ssft-edge", 4, "full"), (LARGE, 4, "s2ft"), (SMALL, 4, "s2ft")),
    *((SMALL, 8, "s2ft"), (SMALL, 3, "s2ft", 48, 40)),
)
"""Machine, layers, recipe, and the widths that layers have in turn."""


@cache
def plan(layers: int, recipe: str, *widths: int) -> str:
    """A step of a Llama-shaped model; layers have the `widths` in turn."""
    config = hf.LlamaConfig(**SIZES, num_hidden_layers=layers, intermediate_size=48)
    model = hf.LlamaForCausalLM(config)
    for number, layer in enumerate(model.model.layers):
        if widths:
            config.intermediate_size = widths[number % len(widths)]
            layer.mlp = type(layer.mlp)(config)
    ids = torch.zeros(1, 32, dtype=torch.long)
    return compile(model, {"input_ids": ids, "labels": ids}, recipe=recipe).text()


def machine(name: str) -> Machine:
    """A preset, or the small one with a setting."""
    return load_machine("ssft-edge", [name]) if "=" in name else load_machine(name)


@cache
def program(stitch: bool, name: str, *case) -> Program:
    return compile_program(plan(*case), machine(name), stitch=stitch)


@pytest.mark.parametrize("case", CASES)
def test_programs_and_reports_are_those_of_kernels_one_by_one(case):
    stitched, whole = program(True, *case), program(False, *case)
    assert stitched == whole
    made = report(simulate(stitched, machine(case[0])))
    assert made == report(simulate(whole, machine(case[0]), stitch=False))
    assert made["cycles"] and made["ops"]


def test_equal_layers_are_timed_together():
    made = simulate(program(True, SMALL, 8, "s2ft"), machine(SMALL))
    assert made.skipped > len(made.stream) / 4


def test_kernels_written_hardly_grow_with_depth(monkeypatch: pytest.MonkeyPatch):
    counts: list[int] = []
    made = Template.__init__

    def counted(self, *arguments):
        made(self, *arguments)
        counts[-1] += 1

    monkeypatch.setattr(Template, "__init__", counted)
    operations = []
    for layers in (4, 8):
        counts.append(0)
        found = compile_program(plan(layers, "s2ft"), machine(SMALL))
        operations.append(len(found.operations))
    written, grown = counts[1] - counts[0], operations[1] - operations[0]
    assert 0 < counts[0] < operations[0] / 2
    assert written < grown / 10


def test_patterns_without_extents_give_another_program(monkeypatch: pytest.MonkeyPatch):
    kept = pattern._operation
    monkeypatch.setattr(pattern, "_operation", lambda op, numbers: kept(op, numbers)[0])
    monkeypatch.setattr(pattern, "_described", lambda buffer: ())
    made = compile_program(plan(4, "s2ft"), machine(LARGE))
    assert made != program(False, LARGE, 4, "s2ft")
