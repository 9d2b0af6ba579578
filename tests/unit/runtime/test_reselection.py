"""Choosing again what trains: index data changes, and nothing is compiled."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ssft.compiler import Recipe, compile
from ssft.compiler.backends.cpu import compile as cpu_compile
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan import Plan
from ssft.compiler.plan_schema import Mask
from ssft.compiler.weights import Array
from ssft.runtime import Session
from ssft.runtime.adapters import apply, load_adapter, remove
from ssft.runtime.torch_bridge import plan_masks
from ssft.runtime.training import train

sys.path.insert(0, str(Path(__file__).parent))

from plans import plan_text, weights


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=8, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    ids = torch.randint(32, (2, 6), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "labels": ids.clone()}


@cache
def plan(recipe: Recipe) -> Plan:
    return compile(
        llama(), batch(), recipe=recipe, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-2)
    )


def session(recipe: Recipe, device: str = "cpu") -> Session:
    made = plan(recipe)
    return Session.from_text(made.text(), made.stored_weights(), device, measuring=made.measuring)


def lists(found: Session) -> dict[str, tuple[int, ...]]:
    return {
        argument.name: tuple(argument.mask.columns or ())
        for argument in found.current_signature.with_role("trainable")
        if argument.mask is not None
    }


PACA = Recipe("paca", ratio=0.25, reselect=20)
UNION = Recipe("union", ratio=0.4, reselect=2)


def test_nothing_is_compiled_again(monkeypatch):
    compiled = []
    original = cpu_compile._compile
    monkeypatch.setattr(
        cpu_compile, "_compile", lambda *given: compiled.append(1) or original(*given)
    )
    made = plan(PACA)
    trained = Session.from_text(made.text(), made.stored_weights(), cache=False)
    assert len(compiled) == 1
    chosen = [lists(trained)]
    train(trained, repeat(batch()), 200, observe=lambda record: chosen.append(lists(trained)))
    assert len(compiled) == 1
    assert trained.choices == 10
    changes = [step for step in range(1, 201) if chosen[step] != chosen[step - 1]]
    # The choice is made right before steps 21, 41, ….
    assert changes == list(range(21, 201, 20))


def test_a_measured_choice_compiles_the_measuring_step_once(monkeypatch):
    recipe = Recipe("s2ft", ratio=0.25, reselect=2, importance="gradient", calibrate=2)
    trained = session(recipe)
    compiled = []
    original = cpu_compile._compile
    monkeypatch.setattr(cpu_compile, "find_step_program", lambda *given, **options: None)
    monkeypatch.setattr(
        cpu_compile, "_compile", lambda *given: compiled.append(1) or original(*given)
    )
    train(trained, repeat(batch()), 8)
    assert trained.choices == 4
    assert len(compiled) == 1


def test_moments_stay_with_what_stays_and_begin_with_zeros():
    trained = session(PACA)
    for step in range(3):
        trained.step(batch(step))
    before, weights = trained.optimizer_state(), trained.state_dict()
    name = next(iter(lists(trained)))
    old = lists(trained)[name]
    new = tuple(sorted({*old[1:], next(i for i in range(16) if i not in old)}))
    masks = {a.name: a.mask for a in trained.signature.with_role("trainable")}
    trained.reselect(masks=masks | {name: replace(masks[name], columns=new)})
    after = trained.optimizer_state()
    assert lists(trained)[name] == new
    for key, values in after[name].items():
        kept = sorted(set(old) & set(new))
        np.testing.assert_array_equal(values[:, kept], before[name][key][:, kept])
        assert not values[:, sorted(set(new) - set(old))].any()
        assert np.abs(values[:, kept]).min() > 0
    others = [n for n in before if n != name]
    for other in others:
        for key in before[other]:
            np.testing.assert_array_equal(after[other][key], before[other][key])
    for parameter, value in trained.state_dict().items():
        np.testing.assert_array_equal(value, weights[parameter])


def test_elements_keep_their_moments_when_they_change_the_tile_of_a_union():
    trained = session(UNION)
    trained.step(batch())
    before, old = trained.optimizer_state(), trained.current_signature
    trained.reselect()
    after, new = trained.optimizer_state(), trained.current_signature
    old_masks, new_masks = plan_masks(old), plan_masks(new)
    moved = 0
    for first, second in zip(old.with_role("trainable"), new.with_role("trainable"), strict=True):
        name = first.name
        kept = (old_masks[name] * new_masks[name]).numpy()
        for key, values in before[name].items():
            np.testing.assert_array_equal(after[name][key], values * kept)
        # From the rows that train entirely to the columns of the other rows.
        rows = set(first.mask.rows) - set(second.mask.rows)
        moved += np.abs(after[name]["exp_avg_sq"][sorted(rows)]).any()
    assert moved


def test_choices_are_seeded_and_differ():
    first, again, other = session(PACA), session(PACA), session(PACA.changed({"seed": 1}))
    seen = []
    for _ in range(4):
        assert lists(first) == lists(again)
        assert lists(first) != lists(other)
        seen.append(lists(first))
        for found in (first, again, other):
            found.reselect()
    assert len({tuple(sorted(chosen.items())) for chosen in seen}) == 4


def test_coupled_parameters_share_a_list():
    trained = session(Recipe("columns", ratio=0.25, reselect=2))
    names = [argument.name for argument in trained.signature.with_role("index")]
    # The residual stream, attention's heads and the channels of the FFN.
    assert len(names) == 3
    trained.reselect()
    chosen = lists(trained)
    for group in (("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"),):
        found = {c for name, c in chosen.items() if any(part in name for part in group)}
        assert len(found) == 1


def test_a_run_goes_on_from_a_checkpoint(tmp_path):
    whole, halves = session(UNION), session(UNION)
    losses = [r.loss for r in train(whole, map(batch, range(10)), 10)]
    first = train(halves, map(batch, range(4)), 4)
    halves.save(tmp_path / "half")
    resumed = session(UNION)
    resumed.load(tmp_path / "half")
    assert resumed.choices == halves.choices == 2
    second = train(resumed, islice(map(batch, range(10)), 4, None), 6)
    assert [r.loss for r in first + second] == losses
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], value)


def test_a_checkpoint_with_indices_out_of_range_is_refused(tmp_path):
    from ssft.compiler.tensor_files import read_safetensors
    from ssft.compiler.weights import write_safetensors

    trained = session(PACA)
    trained.save(tmp_path / "good")
    file = read_safetensors(tmp_path / "good")
    arrays = {n: Array(a.dtype, np.array(a.data)) for n, a in file.arrays.items()}
    name = next(n for n in arrays if n.startswith("history."))
    arrays[name].data[0, 0] = 10**9
    write_safetensors(tmp_path / "bad", arrays, file.metadata)
    before = trained.state_dict()
    with pytest.raises(UserError, match=r"holds .* indices from 0 to"):
        trained.load(tmp_path / "bad")
    assert trained.choices == 1
    for parameter, value in trained.state_dict().items():
        np.testing.assert_array_equal(value, before[parameter])


def test_an_adapter_has_all_that_ever_trained(tmp_path):
    trained = session(UNION)
    train(trained, map(batch, range(6)), 6)
    assert trained.choices == 3
    base = {n: Array(a.dtype, np.array(a.data)) for n, a in plan(UNION).stored_weights().items()}
    trained.export_adapter(tmp_path / "adapter", base)
    adapter = load_adapter(tmp_path / "adapter")
    weights = {n: Array(a.dtype, np.array(a.data)) for n, a in base.items()}
    apply(weights, adapter)
    for name, value in trained.state_dict().items():
        if name in weights:
            np.testing.assert_array_equal(weights[name].data, value)
    remove(weights, adapter)
    for name, array in base.items():
        np.testing.assert_array_equal(weights[name].data, array.data)
    changed = {n for n, a in base.items() if (a.data != trained.state_dict()[n]).any()}
    assert changed == set(adapter.names)


@pytest.mark.parametrize("device", ["numpy", "ssft-hw:ssft-server:f32"])
def test_on_every_device(device):
    on_cpu, there = session(UNION), session(UNION, device)
    expected = [r.loss for r in train(on_cpu, repeat(batch()), 5)]
    found = [r.loss for r in train(there, repeat(batch()), 5)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_cannot_be_chosen_is_refused():
    fixed = Session.from_text(plan_text(), weights())
    with pytest.raises(UserError, match="cannot be chosen again"):
        fixed.reselect()
    trained = session(PACA)
    masks = {a.name: a.mask for a in trained.signature.with_role("trainable")}
    name = next(iter(masks))
    with pytest.raises(UserError, match="holds 4 indices"):
        trained.reselect(masks=masks | {name: Mask(columns=(1, 2))})
    with pytest.raises(UserError, match="repeats"):
        trained.reselect(masks=masks | {name: Mask(columns=(1, 1, 2, 3))})
    with pytest.raises(UserError, match="no choice of columns"):
        trained.reselect(masks=masks | {name: Mask(rows=(1, 2, 3, 4))})
    assert trained.choices == 1


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe("s2ft", reselect=5, budget="global"), "global budget"),
        (Recipe("full", reselect=5), "no rows or columns"),
    ],
)
def test_recipes_that_cannot_choose_again(recipe, message):
    with pytest.raises(UserError, match=message):
        plan(recipe)


def test_explicit_masks_stay():
    name = "model.layers.0.mlp.up_proj.weight"
    signature = plan(PACA.changed({"masks": (f"{name}:rows=1+3",)})).signature()
    masks = {a.name: a.mask for a in signature.with_role("trainable")}
    assert masks[name] == Mask(rows=(1, 3))
    assert all(list(mask.list_names()) for other, mask in masks.items() if other != name)
