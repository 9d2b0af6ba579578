"""Adapters: exact when put on, taken off, stored and joined; usable without this package."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from ssft.compiler import Recipe, compile
from ssft.compiler.diagnostics import UserError
from ssft.compiler.weights import Array
from ssft.runtime import Session
from ssft.runtime.adapters import (
    Adapter,
    Part,
    apply,
    fuse,
    load_adapter,
    remove,
    save_adapter,
    switch,
)
from ssft.runtime.adapters.adapter import tensor_hash
from ssft.runtime.adapters.peft import load_peft, save_peft
from ssft.runtime.torch_adapters import apply_to_module, unmerged

BLOCKS = ("*embed*=0", "lm_head*=0")
"""Ratios of what does not take part in the competition of blocks."""


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=8, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def batch(seed: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(32, (2, 6), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "labels": ids.clone()}


@cache
def compiled(recipe: Recipe) -> tuple[str, dict[str, Array]]:
    """A plan's text and weights."""
    plan = compile(
        llama(), batch(0), recipe=recipe, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-2)
    )
    weights = plan.stored_weights()
    return plan.text(), {n: Array(a.dtype, np.array(a.data)) for n, a in weights.items()}


def trained(recipe: Recipe, seed: int = 1, steps: int = 2) -> tuple[Session, dict[str, Array]]:
    """A session after some steps, and its base as the plan stores it."""
    text, base = compiled(recipe)
    session = Session.from_text(text, base)
    for step in range(steps):
        session.step(batch(seed + step))
    return session, base


def original() -> dict[str, Array]:
    tensors = llama().state_dict()
    return {name: Array("f32", tensor.numpy().copy()) for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    """Two S2FT adapters on different channels, one on the channels of the first, and a union."""
    directory = tmp_path_factory.mktemp("adapters")
    recipes = [Recipe("s2ft", ratio=0.25, seed=s) for s in (0, 1, 0)]
    recipes.append(Recipe("union", ratio=0.2, seed=3, freeze=("*embed*",)))
    found = []
    for number, recipe in enumerate(recipes):
        session, base = trained(recipe, seed=10 * number)
        found.append(session.export_adapter(directory / f"{number}.safetensors", base))
    return found


def bits(weights: dict[str, Array]) -> dict[str, bytes]:
    return {name: array.data.tobytes() for name, array in weights.items()}


def state(session: Session) -> dict[str, bytes]:
    """What a file of the model's weights would hold."""
    return {n: a.tobytes() for n, a in session.state_dict().items() if "inv_freq" not in n}


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("s2ft", ratio=0.25, train=("model.norm.weight",)),
        Recipe("union", ratio=0.2, seed=3, freeze=("*embed*",)),
        Recipe("smt", ratio=0.3, block="4x4", calibrate=1, ratios=BLOCKS),
        Recipe("full"),
    ],
    ids=lambda recipe: recipe.method,
)
def test_extracted_applied_and_removed(recipe, tmp_path):
    session, base = trained(recipe)
    path = tmp_path / "a.safetensors"
    session.export_adapter(path, base)
    adapter = load_adapter(path)
    trainable = [a for a in session.signature.parameters if a.role == "trainable"]
    assert set(adapter.names) == {a.name for a in trainable}
    weights = original()
    apply(weights, adapter)
    # In the model's own order, whatever the plan's.
    assert bits(weights) == state(session)
    remove(weights, adapter)
    assert bits(weights) == bits(original())


def test_what_is_read_is_what_was_written(adapters, tmp_path):
    path = tmp_path / "a.safetensors"
    for adapter in adapters:
        save_adapter(path, adapter)
        again = load_adapter(path)
        assert (again.hashes, again.aliases, again.about) == (
            adapter.hashes,
            adapter.aliases,
            adapter.about,
        )
        for part, other in zip(adapter.parts, again.parts, strict=True):
            assert (part.name, part.shape, part.dtype) == (other.name, other.shape, other.dtype)
            for key in ("rows", "columns", "values", "base"):
                np.testing.assert_array_equal(getattr(part, key), getattr(other, key))


def test_another_base_is_refused(adapters):
    weights = original()
    weights["model.norm.weight"].data[3] += 1  # nothing that the adapter itself changes
    before = bits(weights)
    with pytest.raises(UserError, match=r"'model.norm.weight' is not as in the adapter's base"):
        apply(weights, adapters[0])
    del weights["model.norm.weight"]
    with pytest.raises(UserError, match=r"the weights lack 'model.norm.weight'"):
        apply(weights, adapters[0])
    assert bits(weights).items() <= before.items()


def test_twice_is_refused_and_so_is_what_was_never_put_on(adapters):
    weights = original()
    with pytest.raises(UserError, match="cannot be taken off"):
        remove(weights, adapters[0])
    apply(weights, adapters[0])
    with pytest.raises(UserError) as caught:
        apply(weights, adapters[0])
    assert "the adapter has been put on already" in caught.value.notes


def test_switching(adapters):
    weights, expected = original(), original()
    apply(expected, adapters[1])
    apply(weights, adapters[0])
    switch(weights, adapters[0], adapters[1])
    assert bits(weights) == bits(expected)
    foreign = Adapter(adapters[0].parts, {"model.norm.weight": "0"})
    with pytest.raises(UserError):
        switch(weights, adapters[1], foreign)
    assert bits(weights) == bits(expected)


def test_a_session_without_a_file_must_be_told_its_base(tmp_path):
    session, _ = trained(Recipe("s2ft", ratio=0.25), steps=1)
    with pytest.raises(UserError, match="the weights before training are not known"):
        session.export_adapter(tmp_path / "a.safetensors")


def test_a_session_of_a_file_knows_its_base(tmp_path):
    plan = compile(llama(), batch(0), recipe=Recipe("s2ft", ratio=0.25))
    plan.save(tmp_path / "plan.mlir")
    session = Session(tmp_path / "plan.mlir")
    session.step(batch(1))
    adapter = session.export_adapter(tmp_path / "a.safetensors")
    weights = original()
    apply(weights, adapter)
    assert bits(weights) == state(session)


def test_rectangles_are_a_lora_of_several_selections(tmp_path):
    session, base = trained(Recipe("smt", ratio=0.3, block="4x4", calibrate=1, ratios=BLOCKS))
    adapter = session.export_adapter(tmp_path / "a.safetensors", base)
    assert len(adapter.parts) > len(adapter.names)
    save_peft(tmp_path / "lora", adapter)
    again = load_peft(tmp_path / "lora", original())
    weights = original()
    for part in again.parts:
        weights[part.name].data[part.index] = part.values
    for name, array in weights.items():
        np.testing.assert_allclose(array.data, session.state_dict()[name], atol=1e-6)


# Joining.


@st.composite
def parts(draw: st.DrawFn, base: np.ndarray) -> Part:
    sides = [
        draw(st.none() | st.lists(st.integers(0, n - 1), min_size=1, unique=True).map(sorted))
        for n in base.shape
    ]
    rows, columns = (None if s is None else np.array(s, np.int64) for s in sides)
    empty = Part("w", base.shape, "f32", rows, columns, base, base)
    before = np.array(base[empty.index])
    change = draw(st.integers(1, 9)) + np.arange(before.size).reshape(before.shape)
    values = (before + change).astype(np.float32)
    return Part("w", base.shape, "f32", rows, columns, values, before)


@given(st.data())
def test_joined_adapters_add_up(data):
    base = np.arange(20, dtype=np.float32).reshape(4, 5)
    hashes = {"w": tensor_hash(Array("f32", base))}
    chosen = [data.draw(parts(base)) for _ in range(data.draw(st.integers(1, 4)))]
    fusion = fuse([Adapter((part,), hashes) for part in chosen])
    weights = {"w": Array("f32", base.copy())}
    apply(weights, fusion.adapter)
    expected, counts = base.copy(), np.zeros(base.shape, int)
    for part in chosen:
        expected[part.index] += part.values - part.base
        counts[part.index] += 1
    np.testing.assert_array_equal(weights["w"].data, expected)
    assert sum(fusion.overlap.values()) == (counts > 1).sum()
    assert fusion.adapter.elements == (counts > 0).sum()
    remove(weights, fusion.adapter)
    np.testing.assert_array_equal(weights["w"].data, base)


def test_disjoint_adapters_join_exactly(adapters):
    first, second = adapters[:2]
    fusion = fuse([first, second])
    expected = original()
    for adapter in (first, second):
        for part in adapter.parts:
            expected[part.name].data[part.index] = part.values
    weights = original()
    apply(weights, fusion.adapter)
    if not fusion.overlap:
        assert bits(weights) == bits(expected)
    assert fuse([adapters[0], adapters[2]]).overlap.keys() == set(adapters[0].names)


def test_adapters_of_different_bases_cannot_be_joined(adapters):
    other = Adapter(adapters[0].parts, {"w": "0"})
    with pytest.raises(UserError, match="different bases"):
        fuse([adapters[0], other])
    with pytest.raises(UserError, match="no adapters"):
        fuse([])


# With other libraries.


def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits


def merged(adapter: Adapter) -> LlamaForCausalLM:
    model = llama()
    apply_to_module(model, adapter)
    return model


def test_a_plain_model_needs_only_safetensors(adapters, tmp_path):
    """As docs/adapters.md shows it."""
    path = tmp_path / "a.safetensors"
    save_adapter(path, adapters[3])
    from safetensors import safe_open

    model = llama()
    parameters = dict(model.named_parameters())
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["adapter"])
        for number, part in enumerate(described["parts"]):
            index = [
                file.get_tensor(f"{number}.{side}") if f"{number}.{side}" in file.keys()  # noqa: SIM118
                else torch.arange(size)
                for side, size in zip(("rows", "columns"), part["shape"])  # noqa: B905
            ]  # fmt: skip
            with torch.no_grad():
                grid = torch.meshgrid(*index, indexing="ij")
                parameters[part["name"]][grid] = file.get_tensor(f"{number}.values")
    ids = batch(5)["input_ids"]
    assert torch.equal(logits(model, ids), logits(merged(adapters[3]), ids))
    assert not torch.equal(logits(model, ids), logits(llama(), ids))


def test_peft_reads_what_we_write(adapters, tmp_path):
    ids = batch(5)["input_ids"]
    for number, adapter in enumerate(adapters):
        if any(not name.endswith(("proj.weight", "head.weight")) for name in adapter.names):
            continue
        directory = tmp_path / str(number)
        save_peft(directory, adapter)
        model = peft.PeftModel.from_pretrained(llama(), directory)
        wanted = logits(merged(adapter), ids)
        torch.testing.assert_close(logits(model, ids), wanted, rtol=1e-5, atol=1e-5)
        assert (wanted - logits(llama(), ids)).abs().max() > 1e-2


def test_a_lora_written_by_us_is_read_as_what_it_was(adapters, tmp_path):
    for number, adapter in enumerate(adapters):
        save_peft(tmp_path / str(number), adapter)
        again = load_peft(tmp_path / str(number), original())
        weights, expected = original(), original()
        apply(weights, again)
        apply(expected, adapter)
        for name, array in expected.items():
            np.testing.assert_allclose(weights[name].data, array.data, rtol=1e-6, atol=1e-7)
        if adapter is not adapters[3]:  # of a union two factors overlap
            assert {(p.name, p.values.shape) for p in again.parts} == {
                (p.name, p.values.shape) for p in adapter.parts
            }


def test_a_lora_that_peft_trained_is_an_adapter_of_whole_matrices(tmp_path):
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=["down_proj"])
    model = peft.get_peft_model(llama(), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path)
    adapter = load_peft(tmp_path, original())
    ids = batch(5)["input_ids"]
    torch.testing.assert_close(logits(merged(adapter), ids), logits(model, ids))


def test_what_lora_cannot_hold_is_refused(tmp_path):
    session, base = trained(Recipe("s2ft", ratio=0.25, train=("model.norm.weight",)), steps=1)
    adapter = session.export_adapter(tmp_path / "a.safetensors", base)
    with pytest.raises(UserError, match=r"'model.norm.weight' cannot be written as a LoRA"):
        save_peft(tmp_path / "peft", adapter)


def test_samples_under_different_adapters_at_once(adapters):
    ids = torch.randint(32, (5, 6), generator=torch.Generator().manual_seed(7))
    owners = [1, -1, 0, 3, 1]
    model = llama()
    with unmerged(model, adapters, owners):
        together = logits(model, ids)
    for sample, owner in enumerate(owners):
        alone = llama() if owner < 0 else merged(adapters[owner])
        torch.testing.assert_close(
            together[sample], logits(alone, ids)[sample], rtol=1e-5, atol=1e-5
        )
    # Afterwards the model is the base again.
    assert torch.equal(logits(model, ids), logits(llama(), ids))
    assert all((together[a] - together[b]).abs().max() > 1e-3 for a, b in pairwise(range(5)))


def test_what_cannot_stay_unmerged_is_refused(tmp_path):
    session, base = trained(Recipe("explicit", train=("model.norm.weight",)), steps=1)
    adapter = session.export_adapter(tmp_path / "a.safetensors", base)
    with (
        pytest.raises(UserError, match="no weight of a linear layer"),
        unmerged(llama(), [adapter], [0]),
    ):
        pass


# Files that are damaged.


def test_files_that_are_no_adapters(tmp_path):
    path = tmp_path / "a.safetensors"
    from ssft.compiler.weights import write_safetensors

    write_safetensors(path, {"x": Array("f32", np.zeros(3, np.float32))})
    with pytest.raises(UserError, match="is not an adapter of this version"):
        load_adapter(path)


DAMAGE = {
    "no parts": lambda d, a: d.pop("parts"),
    "no base": lambda d, a: d.pop("base"),
    "another shape": lambda d, a: d["parts"][0].update(shape=[3, 3]),
    "another type": lambda d, a: d["parts"][0].update(dtype="f64"),
    "no values": lambda d, a: a.pop("0.values"),
    "indices outside": lambda d, a: a.update({"0.columns": Array("i64", np.array([99]))}),
    "indices twice": lambda d, a: a.update(
        {"0.columns": Array("i64", np.zeros_like(a["0.columns"].data))}
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_adapters(adapters, tmp_path, damage):
    from ssft.compiler.tensor_files import read_safetensors
    from ssft.compiler.weights import write_safetensors

    path = tmp_path / "a.safetensors"
    save_adapter(path, adapters[0])
    file = read_safetensors(path)
    arrays = {name: Array(a.dtype, np.array(a.data)) for name, a in file.arrays.items()}
    described = json.loads(file.metadata["adapter"])
    DAMAGE[damage](described, arrays)
    metadata = {"format": file.metadata["format"], "adapter": json.dumps(described)}
    damaged = Path(tmp_path / "b.safetensors")
    write_safetensors(damaged, arrays, metadata)
    with pytest.raises(UserError, match="is damaged"):
        load_adapter(damaged)
