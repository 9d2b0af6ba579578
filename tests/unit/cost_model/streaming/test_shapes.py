"""Steps from shapes alone: what they add up to, and how many blocks ZO2 needs at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssft.compiler.cost_model import Workload, full, named_architecture, step_flops
from ssft.compiler.cost_model.published import fuyou, zo2_memory
from ssft.compiler.cost_model.published.comparison import load
from ssft.compiler.cost_model.streaming.check import check
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.search import stream
from ssft.compiler.cost_model.streaming.shapes import shape_step
from ssft.compiler.cost_model.streaming.step import zeroth_order


def test_bytes_and_operations_are_those_of_the_shapes():
    shapes, work = named_architecture("llama-2-7b"), Workload(2, 512)
    step, flops = shape_step(shapes, work), step_flops(shapes, full(shapes), work)
    assert step.bytes_of("trainable") == step.bytes_of("gradient") == 2 * shapes.parameters
    assert step.bytes_of("state") == 12 * shapes.parameters
    assert step.bytes_of("activation") == 2 * work.tokens * shapes.hidden * shapes.layers
    head = 2 * work.tokens * shapes.head.weights
    again = flops.forward - head
    backward = 2 * flops.forward
    assert step.flops == pytest.approx(flops.forward + again + backward + flops.update)


def test_zo2_needs_three_blocks_to_hide_transfers():
    """With room for three blocks beside the rest the link or the computing is the limit."""
    shapes = zo2_memory.opt("opt-13b", load("zo2-memory"))
    step = zeroth_order(shape_step(shapes, Workload(1, 2048)))
    block = 2 * shapes.layer_parameters
    machine = Machine(80e9, 200e9, 0.0, 25e9, 25e9, 1e9, 1e9, 150e12, 1e9)
    least = stream(step, machine).least

    def seconds(room: float) -> float:
        made = stream(step, replace(machine, device=least + room)).best
        check(made)
        limit = max(made.compute_seconds, *made.busy().values())
        return made.seconds / limit

    assert seconds(0.0) > 1.3
    assert seconds(2 * block) < 1.1


def test_fuyou_trains_175b_in_24_gigabytes():
    data = load("fuyou")
    found = stream(fuyou.offloaded(data, "gpt-3 175b", 1), fuyou.machine(data))
    assert check(found.best) <= 24e9
    states = found.best.step.bytes_of("state")
    assert states == pytest.approx(12 * 175e9, rel=0.01)
    assert found.best.homes.bytes_in(found.best.step, "ssd") > states - 768e9
