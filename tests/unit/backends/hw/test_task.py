"""Overlap of regions, against sets of bytes."""

from __future__ import annotations

from hw_tasks import intervals, region_bytes, tiles
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.hw.scheduling.task import Region, interval, overlaps, strided


@given(intervals() | tiles(), intervals() | tiles())
def test_overlap_is_exact_with_one_pitch(one: Region, other: Region) -> None:
    assert overlaps(one, other) == bool(region_bytes(one) & region_bytes(other))


@given(tiles(pitches=(5, 8), buffers=2), tiles(pitches=(8, 5), buffers=2))
def test_overlap_is_never_missed(one: Region, other: Region) -> None:
    shared = region_bytes(one) & region_bytes(other)
    assert overlaps(one, other) or not shared


@given(st.integers(0, 20), st.integers(0, 4), st.integers(0, 9), st.integers(1, 9))
def test_bounds_hold_all_bytes(base: int, rows: int, row_bytes: int, pitch: int) -> None:
    region = strided("spm", base, rows, row_bytes, pitch)
    expected = {("spm", base + row * pitch + i) for row in range(rows) for i in range(row_bytes)}
    assert region_bytes(region) >= expected
    assert all(region.low <= address < region.high for _, address in region_bytes(region))
    if pitch >= row_bytes:
        assert region_bytes(region) == expected


def test_spaces_are_apart() -> None:
    assert not overlaps(interval("spm", 0, 8), interval("dram", 0, 8))


def test_neighbouring_column_tiles_do_not_overlap() -> None:
    left, right = strided("dram", 0, 4, 16, 32), strided("dram", 16, 4, 16, 32)
    assert not overlaps(left, right)
    assert overlaps(left, strided("dram", 15, 4, 16, 32))
