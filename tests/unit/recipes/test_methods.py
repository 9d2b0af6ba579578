"""Each selection method on parameters written by hand: a transformer block without its IR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssft.compiler.analysis.linears import INPUT, OUTPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.methods.ssft import pre_mask
from ssft.compiler.recipes.parameters import (
    FULL,
    Dimension,
    Factor,
    Parameter,
    mask_dimension,
    simplified,
)
from ssft.compiler.recipes.registry import find_method, method_names
from ssft.compiler.recipes.statistics import Statistics

HIDDEN = (Factor("hidden", 8, False),)
HEADS = (Factor("heads", 4, True), Factor("size", 2, False))
CHANNELS = (Factor("channels", 16, True),)


def dimension(factors, use=None, produced_by=(), consumed_by=()) -> Dimension:
    size = 1
    for factor in factors:
        size *= factor.size
    uses = frozenset([use] if use else [])
    return Dimension(size, (factors,), uses, frozenset(produced_by), frozenset(consumed_by))


def linear(name, inputs, outputs, produced_by=(), consumed_by=(), transposed=False) -> Parameter:
    rows = dimension(outputs, OUTPUT)
    columns = dimension(inputs, INPUT, produced_by, consumed_by)
    return Parameter(name, (columns, rows) if transposed else (rows, columns))


V = linear("v", HIDDEN, HEADS, ["o", "down"], ["v", "up", "gate"])
O = linear("o", HEADS, HIDDEN, ["v"], ["o"])  # noqa: E741 (attention's output projection)
UP = linear("up", HIDDEN, CHANNELS, ["o", "down"], ["v", "up", "gate"])
GATE = linear("gate", HIDDEN, CHANNELS, ["o", "down"], ["v", "up", "gate"])
DOWN = linear("down", CHANNELS, HIDDEN, ["up", "gate"], ["down"])
NORM = Parameter("norm", (dimension(HIDDEN),))
EMBEDDING = Parameter("embedding", (dimension((Factor("words", 32, False),)), dimension(HIDDEN)))
BLOCK = [EMBEDDING, NORM, V, O, UP, GATE, DOWN]


STATISTICS = Statistics(
    1,
    {
        (quantity, p.name): np.random.default_rng(0).random(p.shape).astype(np.float32)
        for p in BLOCK
        for quantity in ("gradient", "fisher", "sensitivity", "uncertainty")
    },
)


def choose(method: str, parameters=BLOCK, ratio: float = 0.25, seed: int = 0, **options):
    choice = Choice(ratio, seed, statistics=STATISTICS, **options)
    return dict(find_method(method)(parameters, choice))


def test_methods_are_found_by_file_name():
    assert method_names() == (
        *("bias", "block", "columns", "coupled", "explicit", "full", "heads", "losia", "paca"),
        *("rows", "s2ft", "smt", "ssft", "top", "union"),
    )


@pytest.mark.parametrize("method", method_names())
def test_masks_fit_their_parameters(method):
    shapes = {p.name: tuple(d.size for d in p.dimensions) for p in BLOCK}
    for name, mask in choose(method).items():
        sides = [(mask.rows, mask.columns), *((t.rows, t.columns) for t in mask.rectangles)]
        for indices, size in (
            (i, n) for side in sides for i, n in zip(side, shapes[name], strict=False)
        ):
            assert indices is None or (list(indices) == sorted(set(indices)))
            assert all(0 <= index < size for index in indices or ())


@pytest.mark.parametrize("method", method_names())
def test_a_method_can_find_nothing(method):
    assert choose(method, []) == {}
    assert set(choose(method, [NORM])) <= {"norm"}


def test_full():
    assert choose("full") == {parameter.name: FULL for parameter in BLOCK}


def test_explicit():
    assert choose("explicit") == {}


def test_s2ft_trains_input_channels_of_internal_axes():
    masks = choose("s2ft")
    assert set(masks) == {"o", "down"}
    assert masks["down"].rows is None and len(masks["down"].columns) == 4
    # One of four heads, with both of its channels.
    first, second = masks["o"].columns
    assert (first % 2, second) == (0, first + 1)


def test_s2ft_leaves_an_axis_with_two_consumers_alone():
    other = linear("other", CHANNELS, HIDDEN, ["up", "gate"], ["down", "other"])
    down = linear("down", CHANNELS, HIDDEN, ["up", "gate"], ["down", "other"])
    assert choose("s2ft", [UP, GATE, down, other]) == {}


def test_s2ft_leaves_an_input_of_the_model_alone():
    assert choose("s2ft", [linear("first", CHANNELS, HIDDEN, [], ["first"])]) == {}


def test_s2ft_on_a_weight_stored_transposed_trains_rows():
    down = linear("down", CHANNELS, HIDDEN, ["up"], ["down"], transposed=True)
    (mask,) = choose("s2ft", [UP, down]).values()
    assert mask.columns is None and len(mask.rows) == 4


def test_heads_is_s2ft_for_heads_only():
    assert choose("heads") == {"o": choose("s2ft")["o"]}


def test_rows_and_columns():
    rows, columns = choose("rows"), choose("columns")
    assert set(rows) == set(columns) == {"v", "o", "up", "gate", "down"}
    assert all(mask.columns is None and mask.rows for mask in rows.values())
    assert all(mask.rows is None and mask.columns for mask in columns.values())
    # The same channels, wherever an axis appears.
    assert rows["up"].rows == rows["gate"].rows == columns["down"].columns
    assert columns["up"].columns == columns["v"].columns


def test_paca_draws_single_channels_for_each_matrix():
    masks = choose("paca", ratio=0.5)
    assert set(masks) == {"v", "o", "up", "gate", "down"}
    assert all(mask.rows is None for mask in masks.values())
    assert {len(mask.columns) for mask in masks.values()} == {4, 8}
    assert masks["up"].columns != masks["gate"].columns
    # Not whole heads.
    assert any(
        {c // 2 * 2, c // 2 * 2 + 1} - set(choose("paca", ratio=0.5, seed=s)["o"].columns)
        for s in range(4)
        for c in choose("paca", ratio=0.5, seed=s)["o"].columns
    )


def test_block_and_union_choose_the_same_rows_and_columns():
    blocks, unions = choose("block"), choose("union")
    assert set(blocks) == set(unions) == {"v", "o", "up", "gate", "down"}
    for name, mask in blocks.items():
        assert mask.combine == "intersection"
        assert unions[name] == Mask(mask.rows, mask.columns, "union")


def test_a_square_weight_that_is_used_both_ways_has_no_input_side():
    both = Dimension(8, (HIDDEN,), frozenset([INPUT, OUTPUT]))
    tied = Parameter("tied", (both, both))
    assert tied.dimension_used_as(INPUT) is None
    assert choose("columns", [tied]) == {}


def test_mask_dimension():
    assert mask_dimension(0, [3, 1]) == Mask(rows=(3, 1))
    assert mask_dimension(1, range(2)) == Mask(columns=(0, 1))


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (Mask((0,), (1,)), Mask((0,), (1,))),
        (Mask((0, 1), (1,)), Mask(None, (1,))),
        (Mask((0, 1), (0, 1, 2)), FULL),
        (Mask((0, 1)), FULL),
        (Mask((), (1,)), None),
        (Mask((0,), ()), None),
        (Mask((0,), (1,), "union"), Mask((0,), (1,), "union")),
        (Mask((0, 1), (1,), "union"), FULL),
        (Mask((0,), (0, 1, 2), "union"), FULL),
        (Mask((), (1,), "union"), Mask(None, (1,))),
        (Mask((0,), (), "union"), Mask((0,), None)),
        (Mask((), (), "union"), None),
        (FULL, FULL),
    ],
)
def test_simplified(mask, expected):
    assert simplified(mask, (2, 3)) == expected


def test_simplified_for_vectors_and_scalars():
    assert simplified(Mask((0, 1)), (2,)) == FULL
    assert simplified(Mask((1,)), (2,)) == Mask((1,))
    assert simplified(FULL, ()) == FULL


def test_ssft_trains_rows_and_columns_where_large_gradients_are():
    gradient = np.full((8, 8), 0.1, np.float32)
    gradient[2], gradient[:, 5] = 3, -2
    gradient[7, 7] = 9  # a single large element makes no row
    choice = Choice(0.25, statistics=Statistics(1, {("fisher", "w"): gradient**2}))
    square = linear("w", HIDDEN, HIDDEN)
    mask = find_method("ssft")([square, NORM], choice)
    assert mask == {"w": Mask((2,), (5,), "union")}
    crossed = find_method("ssft")([square], replace(choice, combine="intersection"))["w"]
    assert crossed.combine == "intersection" and len(crossed.rows) == len(crossed.columns) == 4
    assert 2 in crossed.rows and 5 in crossed.columns
    avoiding = replace(choice, avoid={"w": Mask(rows=(2,))})
    assert 2 not in find_method("ssft")([square], avoiding)["w"].rows


@pytest.mark.parametrize("kept", [0, 1, 5, 12])
def test_the_pre_mask_has_the_largest_elements(kept):
    importance = np.random.default_rng(1).permutation(12).reshape(3, 4).astype(np.float32)
    marked = pre_mask(importance, kept / 12)
    assert marked.sum() == kept and (importance[marked] >= 12 - kept).all()


def test_bias_trains_what_is_only_added():
    bias = Parameter("bias", (dimension(HIDDEN),), is_bias=True)
    assert choose("bias", [*BLOCK, bias]) == {"bias": FULL}


def test_top_trains_what_comes_last():
    parameters = [replace(p, position=n) for n, p in enumerate(BLOCK)]
    assert set(choose("top", parameters, ratio=0.01)) == {"down"}
    assert set(choose("top", parameters, ratio=0.35)) == {"down", "gate"}
    assert choose("top", parameters, ratio=0) == {}
    assert set(choose("top", parameters, ratio=1)) == {p.name for p in BLOCK}


def sensitive(importance: np.ndarray) -> Statistics:
    ones = np.ones_like(importance)
    return Statistics(1, {("sensitivity", "w"): importance, ("uncertainty", "w"): ones})


def test_losia_takes_the_best_of_three_greedy_cores():
    """Where the largest rows and the largest columns do not cross, one of them has to give way."""
    random = np.random.default_rng(3)
    square = linear("w", HIDDEN, HIDDEN)
    better = 0
    for _ in range(20):
        importance = random.random((8, 8)).astype(np.float32) ** 6
        choice = Choice(0.25, statistics=sensitive(importance))
        (mask,) = find_method("losia")([square, NORM], choice).values()
        assert mask.combine == "intersection" and len(mask.rows) == len(mask.columns) == 2
        found = importance[np.ix_(mask.rows, mask.columns)].sum()
        rows = np.sort(np.argsort(-importance.sum(axis=1))[:2])
        columns = np.sort(np.argsort(-importance.sum(axis=0))[:2])
        alone = importance[np.ix_(rows, columns)].sum()
        within = np.sort(np.argsort(-importance[rows].sum(axis=0))[:2])
        crossed = np.sort(np.argsort(-importance[:, columns].sum(axis=1))[:2])
        candidates = [alone, importance[np.ix_(rows, within)].sum(),
                      importance[np.ix_(crossed, columns)].sum()]  # fmt: skip
        assert found == max(candidates)
        better += found > alone
    assert better


def test_losia_avoids_and_follows_ratios():
    importance = np.arange(64, dtype=np.float32).reshape(8, 8)
    square = linear("w", HIDDEN, HIDDEN)
    choice = Choice(0.25, statistics=sensitive(importance), avoid={"w": Mask(rows=(7,))})
    assert find_method("losia")([square], choice) == {"w": Mask((5, 6), (6, 7))}
    choice = Choice(0.25, statistics=sensitive(importance), ratios=(("w", 0.5),))
    assert find_method("losia")([square], choice) == {"w": Mask((4, 5, 6, 7), (4, 5, 6, 7))}


def gradients(**arrays: np.ndarray) -> Statistics:
    return Statistics(1, {("gradient", n): a.astype(np.float32) for n, a in arrays.items()})


def test_smt_takes_the_best_blocks_of_all_matrices():
    first, second = np.zeros((16, 8)), np.zeros((8, 16))
    first[4:8, 4:] = -3
    second[:4, 8:12] = second[4:, 8:12] = 2
    second[0, 0] = 9  # its block has a small mean
    up, down = linear("up", HIDDEN, CHANNELS), linear("down", CHANNELS, HIDDEN)
    choice = Choice(48 / 256, statistics=gradients(up=first, down=second), block=(4, 4))
    assert find_method("smt")([up, down, NORM], choice) == {
        "up": Mask((4, 5, 6, 7), (4, 5, 6, 7)),
        "down": Mask(None, (8, 9, 10, 11)),
    }
    alone = replace(choice, ratio=16 / 128, ratios=(("up", 0.0),))
    masks = find_method("smt")([up, down], alone)
    assert set(masks) == {"down"} and len(masks["down"].rows) == 4


def test_smt_joins_blocks_and_cuts_the_last_ones():
    gradient = np.zeros((8, 16))
    for row, column in ((0, 0), (0, 10), (6, 0), (6, 15)):
        gradient[row, column] = 1
    choice = Choice(0.5, statistics=gradients(w=gradient), block=(3, 5))
    weight = linear("w", CHANNELS, HIDDEN)
    (mask,) = find_method("smt")([weight], choice).values()
    # Blocks (0, 0), (0, 2), (2, 0) and (2, 3), the last of 2 x 1, and one without gradients.
    assert mask.combine == "rectangles"
    trained = np.zeros((8, 16), int)
    for tile in mask.rectangles:
        rows = range(8) if tile.rows is None else tile.rows
        columns = range(16) if tile.columns is None else tile.columns
        trained[np.ix_(list(rows), list(columns))] += 1
    assert trained.max() == 1 and trained[gradient > 0].all()
    assert 0.35 * 128 < trained.sum() <= 64
    assert trained[6:, 15:].all() and trained[:3, :5].all()


def test_smt_avoids_blocks_that_others_have():
    gradient = np.ones((8, 8))
    gradient[:4, :4] = 9
    square = linear("w", HIDDEN, HIDDEN)
    choice = Choice(0.25, statistics=gradients(w=gradient), block=(4, 4))
    assert find_method("smt")([square], choice)["w"] == Mask((0, 1, 2, 3), (0, 1, 2, 3))
    avoiding = replace(choice, avoid={"w": Mask(rows=(3,))})
    assert find_method("smt")([square], avoiding)["w"].rows == (4, 5, 6, 7)


def producing(parameter: Parameter, consumer: str) -> Parameter:
    rows = replace(parameter.dimensions[0], consumed_by=frozenset([consumer]))
    return replace(parameter, dimensions=(rows, parameter.dimensions[1]))


def test_coupled_trains_each_side_of_an_axis_by_its_own_ratio():
    sides = [producing(V, "o"), O, producing(UP, "down"), producing(GATE, "down"), DOWN]
    ratios = (("v", 0.5), ("o", 0.25), ("up", 0.125), ("down", 0.25))
    masks = choose("coupled", sides, ratio=0.0, ratios=ratios)
    assert set(masks) == {"v", "o", "up", "down"}
    assert len(masks["v"].rows) == 4 and len(masks["o"].columns) == 2
    assert len(masks["up"].rows) == 2 and len(masks["down"].columns) == 4
    assert masks["down"].rows is None and masks["up"].columns is None
    # Independent draws: some rows are no columns, for some seed.
    drawn = [choose("coupled", sides, seed=seed) for seed in range(3)]
    assert any(set(masks["up"].rows) - set(masks["down"].columns) for masks in drawn)
    assert all(masks["up"].rows == masks["gate"].rows for masks in drawn)


def test_coupled_joins_both_sides_of_a_matrix_between_two_internal_axes():
    other = (Factor("other", 12, True),)
    first = producing(linear("first", HIDDEN, CHANNELS), "middle")
    middle = producing(linear("middle", CHANNELS, other, ["first"], ["middle"]), "last")
    last = linear("last", other, HIDDEN, ["middle"], ["last"])
    masks = choose("coupled", [first, middle, last])
    assert masks["middle"].combine == "union"
    assert len(masks["middle"].rows) == 3 and len(masks["middle"].columns) == 4
    assert masks["first"].columns is None and masks["last"].rows is None
