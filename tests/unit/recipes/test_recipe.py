"""Recipes from options and files; what a user can get wrong is named."""

from __future__ import annotations

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.ssft_select_masks import SelectMasksPass
from ssft.compiler.recipes import Recipe


def test_defaults():
    recipe = Recipe()
    assert (recipe.method, recipe.ratio, recipe.seed) == ("full", 0.05, 0)
    assert recipe.train == recipe.freeze == recipe.masks == ()


def test_the_method_is_the_first_argument():
    assert Recipe("s2ft", ratio=0.1) == Recipe(method="s2ft", ratio=0.1)


def test_a_file_has_the_same_keys(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'method = "s2ft"\nratio = 0.1\nseed = 3\ntrain = ["head.*"]\n'
        'freeze = ["embed*"]\nmasks = ["fc.weight:rows=0-3"]\n'
    )
    assert Recipe.from_file(path) == Recipe(
        "s2ft",
        ratio=0.1,
        seed=3,
        train=("head.*",),
        freeze=("embed*",),
        masks=("fc.weight:rows=0-3",),
    )


def test_changed_keeps_the_rest_and_checks():
    recipe = Recipe("s2ft", ratio=0.1, seed=3)
    assert recipe.changed({"ratio": 0.2}) == Recipe("s2ft", ratio=0.2, seed=3)
    with pytest.raises(UserError, match="recipe key 'ratio'"):
        recipe.changed({"ratio": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nope"}, "recipe key 'method': unknown method 'nope' (known: bias, block"),
        ({"ratio": 1.5}, "recipe key 'ratio': input should be less than or equal to 1"),
        ({"ratio": -0.1}, "recipe key 'ratio': input should be greater than or equal to 0"),
        ({"ratio": "much"}, "recipe key 'ratio': input should be a valid number"),
        ({"ratio": float("nan")}, "recipe key 'ratio'"),
        ({"seed": -1}, "recipe key 'seed': input should be greater than or equal to 0"),
        ({"seed": 0.5}, "recipe key 'seed': input should be a valid integer"),
        ({"train": "head"}, "recipe key 'train': input should be a valid tuple"),
        ({"masks": ["w", 3]}, "recipe key 'masks.1': input should be a valid string"),
        ({"importance": "size"}, "recipe key 'importance': input should be 'random', 'weight'"),
        ({"rank": 8}, "recipe key 'rank': extra inputs are not permitted"),
    ],
)
def test_mistakes_name_the_key(options, message):
    with pytest.raises(UserError) as caught:
        Recipe.parse(options)
    assert caught.value.message.startswith(message)
    (note,) = caught.value.notes
    assert note.startswith("the keys are method, ratio, seed, ratios, budget, importance, order,")
    assert caught.value.exit_code == 2


def test_mistakes_in_a_file_name_the_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("ratio = 2\n")
    with pytest.raises(UserError) as caught:
        Recipe.from_file(path)
    assert caught.value.render().startswith(f"{path}: error: recipe key 'ratio'")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("content", [b"method = s2ft", b"ratio", b"\xff\xfe\x00"])
def test_no_toml(tmp_path, content):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a TOML file"):
        Recipe.from_file(path)


def test_no_file(tmp_path):
    with pytest.raises(UserError) as caught:
        Recipe.from_file(tmp_path / "none.toml")
    assert "No such file" in caught.value.message
    assert caught.value.notes[0].startswith("or name a method: bias")


def test_the_pass_says_the_same_as_the_recipe():
    recipe = Recipe(
        "union", ratio=0.3, seed=9, train=("a", "b.*"), freeze=("c",), masks=("w:rows=1",)
    )
    assert SelectMasksPass.from_recipe(recipe).recipe() == recipe
    assert SelectMasksPass().recipe() == Recipe()
