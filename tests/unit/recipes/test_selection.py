"""What a plan keeps of its recipe in order to choose again."""

from __future__ import annotations

import json

import pytest

from ssft.compiler.analysis.linears import INPUT, OUTPUT
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes import Recipe
from ssft.compiler.recipes.parameters import Dimension, Factor, Parameter
from ssft.compiler.recipes.selection import Selection, with_lists

HIDDEN = Dimension(8, ((Factor("hidden", 8, False),),), frozenset([INPUT]), frozenset(["o"]))
FUSED = Dimension(
    12,
    ((Factor("g", 2, True), Factor("d", 4, False)), (Factor("rest", 4, True),)),
    frozenset([OUTPUT]),
    frozenset(),
    frozenset(["o", "down"]),
)
PARAMETERS = (
    Parameter("qkv", (FUSED, HIDDEN), 3),
    Parameter("other", (FUSED, HIDDEN), 4),
    Parameter("bias", (FUSED,), 5, is_bias=True),
)
RECIPE = Recipe("block", ratio=0.25, seed=4, ratios=("bias=0",), avoid=("qkv:columns=0-3",))


def test_round_trip():
    selection = Selection(20, RECIPE, PARAMETERS, measure=2)
    again = Selection.from_text(selection.to_text())
    assert again.parameters == PARAMETERS
    assert (again.every, again.measure) == (20, 2)
    assert again.recipe == RECIPE
    for number in range(3):
        assert again.choose(number) == selection.choose(number)


def test_what_many_parameters_share_is_written_once():
    many = tuple(Parameter(f"p{n}", (FUSED, HIDDEN), n) for n in range(50))
    entries = json.loads(Selection(1, RECIPE, many).to_text())
    assert len(entries["sets"]) == 3 and len(entries["axes"]) == 4


def test_the_first_choice_is_that_of_the_recipe():
    selection = Selection(20, RECIPE, PARAMETERS)
    first, second = selection.choose(0), selection.choose(1)
    assert first != second
    assert {n: len(m.rows) for n, m in first.items()} == {n: len(m.rows) for n, m in second.items()}
    assert all(min(mask.columns) > 3 for mask in (*first.values(), *second.values()))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"every": "x"}'])
def test_damaged_text_is_refused(text):
    with pytest.raises(UserError, match="damaged"):
        Selection.from_text(text)


def test_only_what_was_chosen_together_shares_a_list():
    masks = {"a": Mask((1, 2), (3,)), "b": Mask((1, 2), (3,)), "c": Mask((1, 2))}
    coupled = {("a", 0): ("axis", (1, 2)), ("b", 0): ("axis", (1, 2)), ("c", 0): ("axis", (5, 6))}
    found = with_lists(masks, coupled)
    assert found["a"].row_list == found["b"].row_list == "a:rows"
    assert found["c"].row_list == "c:rows"
    # Equal by chance: each its own.
    assert (found["a"].column_list, found["b"].column_list) == ("a:columns", "b:columns")
