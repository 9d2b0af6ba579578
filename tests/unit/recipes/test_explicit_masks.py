from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.explicit_masks import check_in_range, parse_mask


@pytest.mark.parametrize(
    ("text", "name", "mask"),
    [
        ("fc.weight", "fc.weight", Mask()),
        ("w:rows=3", "w", Mask(rows=(3,))),
        ("w:columns=0-3+9", "w", Mask(columns=(0, 1, 2, 3, 9))),
        ("w:rows=1:columns=2", "w", Mask((1,), (2,))),
        ("w:columns=2:rows=1:union", "w", Mask((1,), (2,), "union")),
        ("w:rows=1:columns=2:intersection", "w", Mask((1,), (2,))),
        ("layers.*.w:rows=9+2+2-3", "layers.*.w", Mask(rows=(2, 3, 9))),
        ("w:rows=5-5", "w", Mask(rows=(5,))),
    ],
)
def test_parse(text, name, mask):
    assert parse_mask(text) == (name, mask)


@given(st.sets(st.integers(0, 200), min_size=1))
def test_any_list_of_indices(indices):
    text = "+".join(map(str, indices))
    assert parse_mask(f"w:rows={text}")[1].rows == tuple(sorted(indices))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("w:row=0", "unexpected 'row=0'"),
        ("w:rows", "unexpected 'rows'"),
        ("w:rows=1:rows=2", "unexpected 'rows=2'"),
        ("w:rows=", "'' is no index or range"),
        ("w:rows=a", "'a' is no index or range"),
        ("w:rows=-1", "'-1' is no index or range"),
        ("w:rows=1-", "'1-' is no index or range"),
        ("w:rows=1-2-3", "'1-2-3' is no index or range"),
        ("w:rows=1,2", "'1,2' is no index or range"),
        ("w:rows=\u00b2", "'\u00b2' is no index or range"),
        ("w:rows=3-2", "range '3-2' is empty"),
        ("w:rows=0-99999999999", "no parameter has an index 99999999999"),
        ("w:rows=1:union", "a union needs rows and columns"),
        ("w:union", "a union needs rows and columns"),
        (":rows=1", "names no parameter"),
    ],
)
def test_mistakes(text, problem):
    with pytest.raises(UserError) as caught:
        parse_mask(text)
    assert problem in caught.value.message
    assert text in caught.value.message
    assert caught.value.notes[0].startswith("write NAME[:rows=LIST]")


@pytest.mark.parametrize(
    ("mask", "shape"),
    [
        (Mask(), ()),
        (Mask(rows=(0, 3)), (4,)),
        (Mask((3,), (5,), "union"), (4, 6)),
        (Mask(columns=(5,)), (4, 6, 3, 3)),
    ],
)
def test_masks_that_fit(mask, shape):
    check_in_range("w", mask, shape)


@pytest.mark.parametrize(
    ("mask", "shape", "message", "note"),
    [
        (Mask(rows=(4,)), (4, 6), "row 4 is out of range for shape 4x6", "rows go from 0 to 3"),
        (Mask(columns=(0, 6)), (4, 6), "column 6 is out of range", "columns go from 0 to 5"),
        (Mask(rows=(-1,)), (4,), "row -1 is out of range", "rows go from 0 to 3"),
        (Mask(columns=(0,)), (4,), "has columns, but the parameter has 1", "mask its rows"),
        (Mask(rows=(0,)), (), "has rows, but the parameter has 0", "train it entirely"),
    ],
)
def test_masks_that_do_not_fit(mask, shape, message, note):
    with pytest.raises(UserError) as caught:
        check_in_range("w", mask, shape)
    assert message in caught.value.message
    assert caught.value.notes[0].startswith(note)
