"""Decisions are made once per product, host and number of threads, and survive bad files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssft.compiler.backends.cpu.cache import Store
from ssft.compiler.backends.cpu.gemm import tuning
from ssft.compiler.backends.cpu.gemm.form import Axis, Product
from ssft.compiler.backends.cpu.gemm.isa import AVX2, AVX512, select


def product(m: int = 256, n: int = 256, k: int = 256, outer: tuple[Axis, ...] = ()) -> Product:
    return Product("f32", Axis(m, k, 0, n), Axis(n, 0, 1, 1), Axis(k, 1, n), outer, False)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, 1 << 20)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Product]:
    """The products that are measured, without measuring them."""
    found: list[Product] = []

    def measure(self: tuning.Tuner, wanted: Product) -> str:
        found.append(wanted)
        return "other a"

    monkeypatch.setattr(tuning.Tuner, "_measure", measure)
    return found


def test_products_are_measured_once(store: Store, measured: list[Product]) -> None:
    tuner = tuning.Tuner(AVX512, 2, store)
    assert [tuner.choose(product()) for _ in range(3)] == ["other a"] * 3
    assert tuning.Tuner(AVX512, 2, store).choose(product()) == "other a"
    assert measured == [product()]


def test_what_a_decision_depends_on(store: Store, measured: list[Product]) -> None:
    tuning.Tuner(AVX512, 2, store).choose(product())
    tuning.Tuner(AVX512, 1, store).choose(product())
    tuning.Tuner(AVX2, 2, store).choose(product())
    tuning.Tuner(AVX512, 2, store).choose(product(n=512))
    assert len(measured) == 4


def test_swapped_products_are_alike(store: Store, measured: list[Product]) -> None:
    tuner = tuning.Tuner(AVX512, 1, store)
    swapped = Product(
        "f32", Axis(256, 0 + 1, 0, 1), Axis(256, 0, 256, 256), Axis(256, 256, 1), (), False
    )
    assert tuner.choose(product()) == tuner.choose(swapped)
    assert len(measured) == 1


def test_without_a_store_decisions_last_as_long_as_the_process(measured: list[Product]) -> None:
    tuner = tuning.Tuner(AVX512, 1, None)
    assert tuner.choose(product()) == tuner.choose(product()) == "other a"
    assert len(measured) == 1


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "folder"])
def test_damaged_files_are_ignored(store: Store, measured: list[Product], damage: str) -> None:
    tuning.Tuner(AVX512, 1, store).choose(product())
    (path,) = store.directory.iterdir()
    data = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        replacement = {"cut": data[:-3], "altered": data[:-9] + b"x" + data[-8:], "empty": b""}
        path.write_bytes(replacement[damage])
    assert tuning.Tuner(AVX512, 1, store).choose(product()) == "other a"
    assert len(measured) == 2


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b'"x"', b'{"variant": "fastest"}', b'{"variant": []}']
)
def test_senseless_contents_are_ignored(
    store: Store, measured: list[Product], payload: bytes
) -> None:
    tuning.Tuner(AVX512, 1, store).choose(product())
    (path,) = store.directory.iterdir()
    store.write(path.name, [payload])
    assert tuning.Tuner(AVX512, 1, store).choose(product()) == "other a"
    assert len(measured) == 2


def test_tuners_at_the_same_time(store: Store, measured: list[Product]) -> None:
    sizes = [256 + 16 * (i % 5) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: tuning.Tuner(AVX512, 1, store).choose(product(n=n)), sizes))
    assert set(found) == {"other a"}
    assert len(list(store.directory.iterdir())) == 5, "no unfinished files"
    assert tuning.Tuner(AVX512, 1, store).choose(product()) == "other a"


def test_small_products_are_not_measured(store: Store, measured: list[Product]) -> None:
    tuner = tuning.Tuner(AVX512, 1, store)
    assert tuner.choose(product(32, 32, 32)) == "default"
    assert tuner.choose(product(2, 2, 2)) == tuning.BLAS
    assert measured == []


@pytest.mark.parametrize("threads", [1, 2])
def test_measuring(store: Store, threads: int) -> None:
    isa = select("auto")
    if isa is None:
        pytest.skip("no code is emitted for this host")
    tuner = tuning.Tuner(isa, threads, store)
    batch = (Axis(32, 4096, 4096, 4096),)
    for wanted in (product(), product(2000, 51, 512), product(64, 64, 64, batch)):
        assert tuner.choose(wanted) in {*tuning.VARIANTS, tuning.BLAS}
