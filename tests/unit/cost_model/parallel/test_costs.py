"""Costs of ranks: against numbers worked out by hand, and what must hold for any layout."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.cost_model import (
    Architecture,
    Method,
    Storage,
    Workload,
    full,
    low_rank,
    named_architecture,
    s2ft,
    sift,
    step_flops,
    step_memory,
)
from ssft.compiler.cost_model.activations import IMPLEMENTATIONS, fused
from ssft.compiler.cost_model.methods import trainable_parameters
from ssft.compiler.cost_model.parallel import Job, Layout, parallel_costs
from ssft.compiler.cost_model.parallel.traffic import sent
from ssft.compiler.cost_model.parallel.transformer import stage_pieces
from ssft.compiler.cost_model.training import Columns
from ssft.compiler.diagnostics import UserError

LLAMA = named_architecture("llama-2-7b")
TINY = Architecture("tiny", 16, 48, 4, 8, 4, 2, 64)
TIED = replace(TINY, name="tied", tied=True, qkv_bias=True, output_bias=True, positions=10)
STORAGE = Storage(weights=2, gradients=2, moments=4, master=4)

P = 6_738_415_616
T = 32 * 4096 * (2 * 128 + 550)
"""Parameters of Llama-2-7B, and those that S2FT trains at 5 % of heads and channels."""


def costs(method: Method, layout: Layout, shapes: Architecture = LLAMA, batch: int = 4, **more):
    return parallel_costs(Job(shapes, method, Workload(batch, 16), STORAGE, layout, **more))


def methods(shapes: Architecture) -> dict[str, Method]:
    return {
        "full": full(shapes),
        "lora": low_rank(shapes, 2, ("q", "o", "down")),
        "s2ft": s2ft(shapes, {"o": 0.25, "down": 0.1}),
        "rows": s2ft(shapes, {"v": 0.25, "up": 0.1}),
        "sift": sift(shapes, 0.05),
        "top": Method("top", ({}, {}, {}, {"down": Columns(5)})),
    }


@pytest.mark.parametrize(
    ("zero", "memory", "traffic"),
    [
        # Eight ranks: 7/8 of twice the gradients; the same as a reduce-scatter of gradients and an
        # all-gather of weights; with the whole model gathered twice, but for the embedding and for
        # the matrices of the first layer that nothing trains through, in its place.
        (0, (2 * P, 2 * T, 12 * T), 7 / 8 * 2 * 2 * T),
        (1, (2 * P, 2 * T, 12 * T / 8), 7 / 8 * 2 * 2 * T),
        (2, (2 * P, 2 * T / 8, 12 * T / 8), 7 / 8 * 2 * 2 * T),
        (
            3,
            (2 * P / 8, 2 * T / 8, 12 * T / 8),
            7 / 8 * 2 * (T + P + P - 32000 * 4096 - 4 * 4096 * 4096 - 4096),
        ),
    ],
)
def test_zero_on_slices_of_llama_2_7b(zero: int, memory: tuple, traffic: float):
    method = s2ft(LLAMA, {"o": 0.05, "down": 0.05})
    assert trainable_parameters(LLAMA, method) == T
    rank = costs(method, Layout(data=8, zero=zero)).fullest
    held = (rank.model.weights, rank.model.gradients, rank.model.states)
    assert held == pytest.approx(memory)
    assert rank.sent == pytest.approx(traffic)


def test_tensor_parallel_llama_2_7b():
    # Batch 1 x 512 in bf16: 4 MiB an all-reduce, 4 a layer, and one each for embedding and head.
    job = Job(LLAMA, full(LLAMA), Workload(1, 512), STORAGE, Layout(tensor=8))
    rank = parallel_costs(job, fused).fullest
    reduced = 512 * 4096 * 2
    three_of_the_loss = 3 * 512 * 4
    assert rank.sent == 2 * 7 / 8 * ((4 * 32 + 2) * reduced + three_of_the_loss)
    norms = (2 * 32 + 1) * 4096
    assert rank.model.weights == 2 * ((P - norms) / 8 + norms)
    # Inside the blocks q, k, v, attention, gate, up and product: (4h + 3f) / 8; outside of them
    # two norms' inputs and outputs: 4h. Softmax statistics are split, those of norms are not.
    layer = 2 * ((4 * 4096 + 3 * 11008) / 8 + 4 * 4096) + 4 * 32 / 8 + 4 * 2
    outer = 2 * 2 * 4096 + 4 + 2 * 32000 / 8
    assert rank.activations == 512 * (32 * layer + outer)


def test_sequence_parallelism_sends_as_much_and_keeps_less():
    work, method = Workload(1, 512), s2ft(LLAMA, {"o": 0.05, "down": 0.05})
    plain, split = (
        parallel_costs(
            Job(LLAMA, method, work, STORAGE, Layout(tensor=8, sequence=sequence)), fused
        ).fullest
        for sequence in (False, True)
    )
    # Nothing is gathered again: the matrices that read norms' outputs are frozen. The embedding has
    # half an all-reduce less, and one all-gather is new: the first o's output gradient, for its
    # weight gradient, as the first block's input needs no gradient and had no all-reduce.
    assert split.sent == pytest.approx(plain.sent)
    assert split.activations == pytest.approx(
        step_memory(LLAMA, method, work, STORAGE, fused).activations / 8
    )
    share = 7 / 8 * 512 * 4096 * 2
    # Where everything trains, each block's input is gathered once more, and the head's.
    both = [
        parallel_costs(
            Job(LLAMA, full(LLAMA), work, STORAGE, Layout(tensor=8, sequence=sequence)), fused
        ).fullest
        for sequence in (False, True)
    ]
    gathered = sent(both[1].transfers, collective="all-gather")
    scattered = sent(both[1].transfers, collective="reduce-scatter")
    assert gathered - scattered == pytest.approx(share * (2 * 32 + 1))


def test_pipeline_of_llama_2_7b():
    layout = Layout(pipeline=4, microbatches=8)
    job = Job(LLAMA, s2ft(LLAMA, {"o": 0.05, "down": 0.05}), Workload(8, 512), STORAGE, layout)
    found = parallel_costs(job, fused)
    boundary = 8 * 512 * 4096 * 2
    assert [rank.sent for rank in found.ranks] == [boundary, 2 * boundary, 2 * boundary, boundary]
    # Inner stages are alike but for the microbatches in flight: 3 and 2.
    assert found.ranks[1].activations / found.ranks[2].activations == 3 / 2


def test_no_backward_traffic_below_what_trains():
    method = methods(TINY)["top"]
    found = costs(method, Layout(pipeline=4, tensor=2, microbatches=4), TINY)
    for rank in found.ranks:
        assert sent(rank.transfers, purpose="input gradients", dimension="pipeline") == 0
        below_head = 0 if rank.stage < 3 else 2 * 0.5 * 4 * 16 * 16 * 2
        assert sent(rank.transfers, purpose="input gradients") == below_head
        channels = (3, 2)[rank.tensor_rank] if rank.stage == 3 else 0
        assert rank.model.gradients == 2 * 16 * channels


def test_only_read_weights_are_gathered_for_the_backward_pass():
    job = Job(TINY, methods(TINY)["top"], Workload(1, 16), STORAGE, Layout(data=4, zero=3))
    read = {piece.name for piece in stage_pieces(job, 0, 0) if piece.backward}
    # The last layer's down trains: its input needs no gradient. All the rest lies below.
    assert read == {"last norm", "head"}
    again = replace(job, checkpointing=True)
    recomputed = {piece.unit for piece in stage_pieces(again, 0, 0) if piece.backward}
    assert recomputed == {"layer 3", "head"}


def test_low_rank_factors_on_every_rank_are_summed():
    # q is split by outputs: A [2, 16] is on both ranks. o by inputs: B [16, 2] is.
    method = low_rank(TINY, 2, ("q", "o"))
    job = Job(TINY, method, Workload(1, 16), STORAGE, Layout(tensor=2))
    pieces = stage_pieces(job, 0, 0)
    summed = sum(size for piece in pieces for size, _ in piece.partial)
    assert summed == 4 * 4 * (2 * 16 + 16 * 2)
    with pytest.raises(UserError, match="not covered for DoRA"):
        stage_pieces(replace(job, method=low_rank(TINY, 2, ("q",), magnitude=True)), 0, 0)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("account", IMPLEMENTATIONS)
@pytest.mark.parametrize("method", methods(TINY).values(), ids=methods(TINY))
def test_one_rank_is_the_step_itself(method: Method, account: str, checkpointing: bool):
    work, module = Workload(2, 16), IMPLEMENTATIONS[account]
    job = Job(TINY, method, work, STORAGE, Layout(), checkpointing)
    (rank,) = parallel_costs(job, module).ranks
    memory = step_memory(TINY, method, work, STORAGE, module, checkpointing=checkpointing)
    assert rank.total == pytest.approx(memory.total, abs=8)
    assert rank.flops.total == pytest.approx(step_flops(TINY, method, work).total, abs=16)
    assert rank.sent == 0


LAYOUTS = st.builds(
    Layout,
    data=st.sampled_from([1, 2, 3, 8]),
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.sampled_from([1, 2, 3, 4]),
    zero=st.integers(0, 3),
    sequence=st.booleans(),
    microbatches=st.sampled_from([1, 2, 4]),
    schedule=st.sampled_from(["1f1b", "gpipe"]),
    placement=st.sampled_from(["dealt", "front"]),
)


@given(LAYOUTS, st.sampled_from(sorted(methods(TINY))), st.sampled_from([TINY, TIED]))
@settings(max_examples=60, deadline=None)
def test_model_is_held_once_by_a_replica(layout: Layout, name: str, shapes: Architecture):
    method = methods(shapes)[name]
    job = Job(shapes, method, Workload(4, 16), STORAGE, layout)
    held, pieces = 0.0, {}
    for stage in range(layout.pipeline):
        for rank in range(layout.tensor):
            for piece in stage_pieces(job, stage, rank):
                if not (piece.name == "head" and shapes.tied):
                    held += piece.weights / piece.copies
                pieces.setdefault(piece.name, []).append(piece)
    adapters = trainable_parameters(shapes, method) if method.adapters else 0
    replicated = 0.0
    for same in pieces.values():
        if same[0].name.endswith("adapter") and layout.tensor > 1:
            replicated += sum(piece.weights for piece in same) - adapter_bytes(same[0].name)
    expected = 2 * shapes.parameters + 4 * adapters
    assert held - replicated == pytest.approx(expected, abs=8)


def adapter_bytes(piece: str) -> int:
    """Of a rank-2 adapter of `TINY`, once."""
    linear = TINY.linear(piece.split()[2])
    return 4 * 2 * (linear.inputs + linear.outputs)


@given(LAYOUTS, st.sampled_from(sorted(methods(TINY))))
@settings(max_examples=60, deadline=None)
def test_stages_of_zero_hold_less_and_less(layout: Layout, name: str):
    method = methods(TINY)[name]
    found = [costs(method, replace(layout, zero=zero), TINY).ranks for zero in range(4)]
    for ranks in zip(*found, strict=True):
        totals = [rank.total - rank.model.gathered for rank in ranks]
        assert totals == sorted(totals, reverse=True)
        for less, more in zip(ranks[1:], ranks, strict=False):
            assert less.model.weights <= more.model.weights
            assert less.model.gradients <= more.model.gradients
            assert less.model.states <= more.model.states
        by_peers = [sent(rank.transfers, dimension="data") for rank in ranks]
        # Gradients and weights of what trains have one size here.
        assert by_peers[1] == pytest.approx(by_peers[0])
        assert by_peers[1] <= by_peers[2] + 1e-6 and by_peers[2] <= by_peers[3] + 1e-6


@given(LAYOUTS, st.sampled_from(sorted(methods(TINY))))
@settings(max_examples=60, deadline=None)
def test_what_trains_decides_what_is_sent(layout: Layout, name: str):
    sparse, dense = (costs(method, layout, TINY) for method in (methods(TINY)[name], full(TINY)))
    for one, other in zip(sparse.ranks, dense.ranks, strict=True):
        assert sent(one.transfers, dimension="pipeline") <= sent(
            other.transfers, dimension="pipeline"
        )
        assert sent(one.transfers, purpose="input gradients") <= sent(
            other.transfers, purpose="input gradients"
        )
    alone = costs(methods(TINY)[name], Layout(microbatches=layout.microbatches), TINY)
    assert alone.sent_by_all == 0
    assert sparse.fullest.flops.products <= alone.fullest.flops.products


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(tensor=3), "8 heads cannot be split into 3"),
        (Layout(tensor=16), "8 heads cannot be split into 16"),
        (Layout(pipeline=5), "4 layers cannot be split into 5 stages"),
        (Layout(microbatches=3), "a batch of 4 cannot be cut into 3"),
    ],
)
def test_what_cannot_be_split_is_refused(layout: Layout, message: str):
    with pytest.raises(UserError, match=message):
        costs(full(TINY), layout, TINY)
