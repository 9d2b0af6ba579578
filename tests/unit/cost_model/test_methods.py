"""Methods: what trains, against counts done by hand."""

from __future__ import annotations

import pytest

from ssft.compiler.cost_model import (
    Architecture,
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
from ssft.compiler.cost_model.activations import IMPLEMENTATIONS, implementation
from ssft.compiler.cost_model.activity import activities
from ssft.compiler.cost_model.contextual import (
    ContextualSparsity,
    computed_share,
    layer_shares,
)
from ssft.compiler.cost_model.memory import saved_bytes
from ssft.compiler.cost_model.methods import trainable_parameters
from ssft.compiler.diagnostics import UserError

LLAMA = named_architecture("llama-2-7b")
TINY = Architecture("tiny", 8, 24, 4, 4, 2, 2, 32)


def test_published_code_of_s2ft_trains_53_heads_and_7045_channels():
    method = s2ft(LLAMA, {"o": 0.052, "down": 0.02}, budget="global")
    heads = sum(layer["o"].count for layer in method.layers if "o" in layer) // LLAMA.head_size
    channels = sum(layer["down"].count for layer in method.layers)
    assert (heads, channels) == (53, 7045)
    assert trainable_parameters(LLAMA, method) == 56_643_584


def test_global_budget_leaves_layers_without_units():
    method = s2ft(TINY, {"o": 0.2}, budget="global")
    assert [layer["o"].count if layer else 0 for layer in method.layers] == [2, 2, 2, 0]


def test_lora_of_the_papers_comparison():
    method = low_rank(LLAMA, 32, ("q", "k", "v", "up", "down"))
    assert trainable_parameters(LLAMA, method) == 56_098_816
    scaled = low_rank(LLAMA, 32, ("q",), magnitude=True)
    plain = low_rank(LLAMA, 32, ("q",))
    more = trainable_parameters(LLAMA, scaled) - trainable_parameters(LLAMA, plain)
    assert more == LLAMA.layers * LLAMA.hidden


def test_sift_trains_its_share_of_everything():
    assert trainable_parameters(LLAMA, sift(LLAMA, 0.05)) == pytest.approx(
        0.05 * LLAMA.parameters, rel=1e-6
    )
    assert trainable_parameters(LLAMA, full(LLAMA)) == LLAMA.parameters


def test_nothing_below_the_lowest_trained_matrix_is_active():
    method = s2ft(TINY, {"down": 0.1})
    first, second, *_ = activities(TINY, method)
    assert not (first.input or first.attention or first.inner) and first.output
    assert second.input and second.attention and second.inner
    kept = activities(TINY, method, input_requires_grad=True)[0]
    assert kept.input and kept.attention


def test_linear_flops_approach_two_thirds():
    # 6 / (4 + 2 rho) over layers alone: attention and head are left out by a short sequence.
    work = Workload(1, 1, input_requires_grad=True)
    method = s2ft(LLAMA, {"o": 0.05, "down": 0.05})
    upper, lower = (step_flops(LLAMA, m, work).products for m in (full(LLAMA), method))
    assert upper / lower == pytest.approx(1.5, rel=0.02)


def test_checkpointing_keeps_one_hidden_state_per_layer():
    work = Workload(2, 16)
    layers, outer, live = saved_bytes(TINY, full(TINY), work, checkpointing=True)
    whole, same, none = saved_bytes(TINY, full(TINY), work)
    assert layers == 2 * TINY.layers * TINY.hidden * work.tokens
    assert (outer, none) == (same, 0)
    assert live == whole / TINY.layers


def test_resident_bytes_of_llama_2_7b():
    # docs/costs.md: bf16 weights and gradients, fp32 moments.
    storage = Storage(moments=4)
    everything = step_memory(LLAMA, full(LLAMA), Workload(1, 512), storage)
    assert everything.update / 1e9 == pytest.approx(80.9, abs=0.05)
    selected = s2ft(LLAMA, {"o": 0.052, "down": 0.02}, budget="global")
    part = step_memory(LLAMA, selected, Workload(1, 512), storage)
    assert part.update / 1e9 == pytest.approx(14.0, abs=0.05)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_selected_columns_keep_less_and_rows_do_not(name: str):
    account, work = IMPLEMENTATIONS[name], Workload(1, 64, input_requires_grad=True)

    def kept(*targets: str) -> float:
        return saved_bytes(LLAMA, s2ft(LLAMA, dict.fromkeys(targets, 0.01)), work, account)[0]

    # Rows read all of the input; this compiler computes that again instead of keeping it.
    rows_cost_memory = kept("down") < kept("down", "up")
    assert rows_cost_memory == (name != "compiled")
    assert kept("o", "down") < saved_bytes(LLAMA, full(LLAMA), work, account)[0]


def test_accounts_of_details_refuse_other_layers():
    plain = Architecture("plain", 8, 24, 2, 2, 2, 4, 32, gated=False, norm_vectors=2)
    for name in ("eager", "compiled"):
        with pytest.raises(UserError, match="RMSNorm and a gate"):
            implementation(name, plain)
    account = implementation("fused", plain)
    assert saved_bytes(plain, full(plain), Workload(1, 4), account)[0] > 0


def test_contextual_sparsity_scales_the_base_alone():
    sparsity = ContextualSparsity({1: 0.5}, {0: 1.0}, context_share=0.5, dense_steps=0.5)
    attention = sum(TINY.linear(name).weights for name in ("q", "k", "v", "o"))
    block = sum(linear.weights for linear in TINY.linears()) - attention
    expected = 1 - (0.125 * attention + 0.25 * block) / (TINY.layers * (attention + block))
    assert computed_share(TINY, sparsity) == pytest.approx(expected)
    method, work = low_rank(TINY, 2, ("q",)), Workload(1, 8)
    dense, sparse = step_flops(TINY, method, work), step_flops(TINY, method, work, sparsity)
    assert sparse.forward < dense.forward
    assert sparse.weight_gradient == dense.weight_gradient


def test_lists_of_layers():
    assert layer_shares({"1-3,5": 0.5, "7": 1.0}) == {1: 0.5, 2: 0.5, 3: 0.5, 5: 0.5, 7: 1.0}


@pytest.mark.parametrize("text", ["", "a", "1-", "-2", "1-2-3"])
def test_what_is_no_list_of_layers_is_refused(text: str):
    with pytest.raises(UserError, match="no list of layers"):
        layer_shares({text: 0.5})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: s2ft(TINY, {"q": 0.1}), "S2FT does not train 'q'"),
        (lambda: s2ft(TINY, {"o": 1.5}), "ratio 1.5 of 'o'"),
        (lambda: low_rank(TINY, 0, ("q",)), "rank 0 is not positive"),
        (lambda: low_rank(TINY, 2, ("w",)), "has no projection 'w'"),
        (lambda: sift(TINY, 0.0), "density 0.0"),
        (lambda: layer_shares({"1": 1.5}), "sparsity 1.5"),
    ],
)
def test_impossible_method_is_refused(make, message: str):
    with pytest.raises(UserError, match=message):
        make()
