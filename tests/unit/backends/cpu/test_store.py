"""The cache's folder of files: whatever has happened to it, it answers rightly or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ssft.compiler.backends.cpu.cache.store import DIRECTORY, SIZE, Store, open_store
from ssft.compiler.diagnostics import UserError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", limit=1 << 20)


def read(store: Store, name: str = "entry") -> bytes | None:
    found = store.read(name)
    return None if found is None else bytes(found)


def test_round_trip(store: Store):
    assert read(store) is None
    store.write("entry", [b"one", memoryview(b"two")])
    assert read(store) == b"onetwo"
    store.write("entry", [b"three"])
    assert read(store) == b"three"
    assert [path.name for path in store.directory.iterdir()] == ["entry"]


def test_empty_entries_are_entries(store: Store):
    store.write("entry", [])
    assert read(store) == b""


@pytest.mark.parametrize("size", [0, 1, 20, 63, 64, 70])
def test_truncated_files_are_misses(store: Store, size: int):
    store.write("entry", [b"payload" * 3])
    path = store.directory / "entry"
    path.write_bytes(path.read_bytes()[:size])
    assert read(store) is None
    store.write("entry", [b"again"])
    assert read(store) == b"again"


@pytest.mark.parametrize("position", [0, 18, 40, 64, 70])
def test_altered_files_are_misses(store: Store, position: int):
    store.write("entry", [b"payload"])
    path = store.directory / "entry"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    assert read(store) is None


def test_files_cannot_change_places(store: Store):
    store.write("entry", [b"payload"])
    os.rename(store.directory / "entry", store.directory / "other")
    assert read(store, "other") is None


@pytest.mark.parametrize("mode", [0o622, 0o660, 0o602])
def test_files_that_others_can_write_are_misses(store: Store, mode: int):
    store.write("entry", [b"payload"])
    (store.directory / "entry").chmod(mode)
    assert read(store) is None


def test_files_are_private(store: Store):
    store.write("entry", [b"payload"])
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / "entry").stat().st_mode & 0o777 == 0o600


def test_least_recently_used_entries_go(store: Store):
    store.limit = 1000
    for age, name in enumerate("abc"):
        store.write(name, [bytes(200)])
        os.utime(store.directory / name, (100 + age, 100 + age))
    assert read(store, "a") is not None  # now the most recent
    store.write("d", [bytes(200)])
    assert sorted(path.name for path in store.directory.iterdir()) == ["a", "c", "d"]


def test_what_is_larger_than_the_limit_evicts_nothing(store: Store):
    store.limit = 1000
    store.write("small", [b"x"])
    store.write("large", [bytes(1000)])
    assert [path.name for path in store.directory.iterdir()] == ["small"]


def test_unfinished_files_of_dead_processes_go(store: Store):
    store.write("entry", [b"payload"])
    old, new = store.directory / ".new-old", store.directory / ".new-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (100, 100))
    store.write("entry", [b"payload"])
    assert not old.exists() and new.exists()


@pytest.mark.parametrize("blocked", ["file", "below a file"])
def test_a_folder_that_cannot_be_made_is_an_empty_cache(tmp_path: Path, blocked: str):
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file" / ("" if blocked == "file" else "cache"), 1 << 20)
    store.write("entry", [b"payload"])
    assert read(store) is None


def test_a_full_disk_is_an_empty_cache(store: Store, monkeypatch: pytest.MonkeyPatch):
    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store.write("entry", [b"payload"])
    assert list(store.directory.iterdir()) == []


def test_writers_and_readers_at_once(store: Store):
    """Every value that is read is one that was written, whole, while others write and evict."""
    store.limit = 40_000
    values = [bytes([number]) * 9000 for number in range(8)]
    wrong: list[bytes] = []

    def work(number: int) -> None:
        for turn in range(40):
            name = f"entry{(number + turn) % 3}"
            store.write(name, [values[(number * 7 + turn) % 8]])
            found = read(store, name)
            if found is not None and found not in values:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(path.stat().st_size for path in store.directory.iterdir()) <= store.limit


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(DIRECTORY, str(tmp_path / "here"))
    monkeypatch.setenv(SIZE, "3")
    opened = open_store()
    assert opened is not None
    assert (opened.directory, opened.limit) == (tmp_path / "here", 3 << 20)
    monkeypatch.delenv(DIRECTORY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    opened = open_store()
    assert opened is not None and opened.directory == tmp_path / "xdg" / "ssft"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    opened = open_store()
    assert opened is not None and opened.directory == tmp_path / ".cache" / "ssft"


def test_a_size_that_is_no_number_is_a_users_mistake(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SIZE, "1G")
    with pytest.raises(UserError, match="SSFT_CACHE_SIZE is '1G', not a number of MiB"):
        open_store()
