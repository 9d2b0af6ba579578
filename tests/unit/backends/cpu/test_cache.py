"""Compiled steps come from the cache when nothing that matters has changed, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from programs import argument, metric, run, step

from ssft.compiler.backends.cpu import CpuOptions, find_step_program
from ssft.compiler.backends.cpu.cache import keys, open_store, programs
from ssft.compiler.backends.cpu.cache.store import DIRECTORY
from ssft.compiler.backends.cpu.elf import undefined_symbols
from ssft.compiler.backends.cpu.libraries import Libraries
from ssft.compiler.backends.cpu.loader import load_code
from ssft.compiler.diagnostics import UserError

V = "tensor<4xf32>"
X = np.arange(4, dtype=np.float32)


def scaled(factor: float, name: str = "x", value: str = "value") -> str:
    """A plan that multiplies its argument by a constant, and by [1, 2, 3, 4]."""
    row = "affine_map<(d0) -> (d0)>"
    body = f"""
    %f = arith.constant {factor:e} : f32
    %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : {V}
    %e = tensor.empty() : {V}
    %r = linalg.generic {{indexing_maps = [{row}, {row}, {row}], iterator_types = ["parallel"]}}
        ins(%{name}, %c : {V}, {V}) outs(%e : {V}) {{
    ^bb0(%a: f32, %b: f32, %o: f32):
      %y = arith.mulf %a, %f : f32
      %z = arith.mulf %y, %b : f32
      linalg.yield %z : f32
    }} -> {V}
    return %r : {V}"""
    result = metric(V).replace('"value"', f'"{value}"')
    return step([argument(name, V)], [result], body)


@contextmanager
def cache_in(directory: str) -> Iterator[Path]:
    before = os.environ[DIRECTORY]
    os.environ[DIRECTORY] = directory
    try:
        yield Path(directory)
    finally:
        os.environ[DIRECTORY] = before


@contextmanager
def empty_cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory, cache_in(directory) as path:
        yield path


def files(directory: Path) -> dict[str, int]:
    """How many entries of each kind there are."""
    kinds = [path.name.partition("-")[0] for path in directory.iterdir()]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def value(text: str, options: CpuOptions | None = None) -> list[float]:
    _, (found,) = run(text, [X], options)
    return found.tolist()


def second_time() -> dict[str, Any]:
    with empty_cache() as directory:
        text = scaled(2.0)
        assert find_step_program(text) is None
        fresh, first = run(text, [X])
        found = find_step_program(text)
        assert found is not None
        output = np.zeros(4, np.float32)
        found.run([X.ctypes.data, output.ctypes.data])
        return {
            "same": found.schedule == fresh.schedule and found.signature == fresh.signature,
            "arena": found.arena_bytes == fresh.arena_bytes,
            "values": [first[0].tolist(), output.tolist()],
            "files": files(directory),
        }


def test_the_second_time_is_the_same(isolated: Any):
    expected = (2 * X * [1, 2, 3, 4]).tolist()
    found = isolated("second_time")
    assert found["same"] and found["arena"]
    assert found["values"] == [expected, expected]
    assert found["files"] == {"code": 1, "program": 1}


def changes() -> dict[str, Any]:
    with empty_cache() as directory:
        counts = {"first": (value(scaled(2.0)), files(directory))}
        counts["constant"] = (value(scaled(3.0)), files(directory))
        counts["name"] = (value(scaled(3.0, value="other")), files(directory))
        counts["level"] = (value(scaled(3.0), CpuOptions(opt_level=0)), files(directory))
        counts["again"] = (value(scaled(2.0)), files(directory))
        return counts


def test_what_matters_makes_another_entry(isolated: Any):
    twice, thrice = ((factor * X * [1, 2, 3, 4]).tolist() for factor in (2, 3))
    assert isolated("changes") == {
        "first": (twice, {"code": 1, "program": 1}),
        "constant": (thrice, {"code": 2, "program": 2}),
        "name": (thrice, {"code": 2, "program": 3}),  # the machine code is shared
        "level": (thrice, {"code": 3, "program": 4}),
        "again": (twice, {"code": 3, "program": 4}),
    }


def damage(kind: str, how: str) -> dict[str, Any]:
    with empty_cache() as directory:
        value(scaled(2.0))
        (path,) = directory.glob(f"{kind}-*")
        whole = path.read_bytes()
        if how == "gone":
            path.unlink()
        elif how == "cut":
            path.write_bytes(whole[: len(whole) // 2])
        elif how == "altered":
            path.write_bytes(whole[:200] + bytes([whole[200] ^ 255]) + whole[201:])
        else:
            path.write_bytes(b"something else entirely")
        missed = find_step_program(scaled(2.0)) is None
        again = value(scaled(2.0))
        return {"missed": missed, "value": again, "restored": path.read_bytes() == whole}


@pytest.mark.parametrize("kind", ["program", "code"])
@pytest.mark.parametrize("how", ["gone", "cut", "altered", "foreign"])
def test_damaged_entries_are_made_again(isolated: Any, kind: str, how: str):
    found = isolated("damage", kind, how)
    assert found["missed"] and found["restored"]
    assert found["value"] == (2 * X * [1, 2, 3, 4]).tolist()


def nonsense(kind: str) -> dict[str, Any]:
    """An entry whose checksum is right, but whose content makes no sense."""
    with empty_cache() as directory:
        value(scaled(2.0))
        (path,) = directory.glob(f"{kind}-*")
        whole = path.read_bytes()
        store = open_store()
        assert store is not None
        store.write(path.name, [b"nonsense"])
        missed = find_step_program(scaled(2.0)) is None
        again = value(scaled(2.0))
        return {"missed": missed, "value": again, "restored": path.read_bytes() == whole}


@pytest.mark.parametrize("kind", ["program", "code"])
def test_nonsense_is_made_again(isolated: Any, kind: str):
    found = isolated("nonsense", kind)
    assert found["missed"] and found["restored"]
    assert found["value"] == (2 * X * [1, 2, 3, 4]).tolist()


def switched_off() -> dict[str, Any]:
    with empty_cache() as directory:
        options = CpuOptions(cache=False)
        uncached, written = value(scaled(2.0), options), files(directory)
        value(scaled(2.0))
        return {
            "value": uncached,
            "written": written,
            "read": find_step_program(scaled(2.0), options) is not None,
        }


def test_it_can_be_switched_off(isolated: Any):
    expected = (2 * X * [1, 2, 3, 4]).tolist()
    assert isolated("switched_off") == {"value": expected, "written": {}, "read": False}


def without_a_place() -> dict[str, Any]:
    with cache_in("/dev/null/cache"):
        return {"value": value(scaled(2.0))}


def test_no_place_for_a_cache(isolated: Any):
    assert isolated("without_a_place") == {"value": (2 * X * [1, 2, 3, 4]).tolist()}


AT_ONCE = """
import sys
sys.path[:0] = {path!r}
import runpy
module = runpy.run_path({file!r})
print(module["value"](module["scaled"](2.0)))
"""


def test_processes_at_once(tmp_path: Path):
    code = AT_ONCE.format(path=sys.path, file=__file__)
    environment = {**os.environ, DIRECTORY: str(tmp_path)}
    command = [sys.executable, "-c", code]
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = {process.communicate(timeout=60)[0] for process in runs}
    assert outputs == {f"{(2 * X * [1, 2, 3, 4]).tolist()}\n"}
    assert files(tmp_path) == {"code": 1, "program": 1}


def test_the_key_holds_the_compilers_sources(monkeypatch: pytest.MonkeyPatch):
    def name() -> str:
        return programs.program_name("plan", CpuOptions(), Libraries(None, None), False)

    before = name()
    assert name() == before
    for function in ("sources", "host", "toolchain", "processors"):
        with monkeypatch.context() as patch:
            patch.setattr(keys, function, lambda: "another")
            assert name() != before
    assert programs.program_name("plan", CpuOptions(), Libraries(None, None), True) != before
    assert programs.program_name("plan", CpuOptions(), Libraries("x", None), False) != before
    assert programs.code_name("text", 3) != programs.code_name("text", 2)


def test_every_source_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "part"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "code.py").write_text("x = 1")

    class Spec:
        submodule_search_locations = (str(package),)

    monkeypatch.setattr(keys, "find_spec", lambda name: Spec)
    before = keys.sources.__wrapped__()
    (package / "code.py").write_text("x = 2")
    changed = keys.sources.__wrapped__()
    (package / "more.py").write_text("")
    assert len({before, changed, keys.sources.__wrapped__()}) == 3


def test_digests_separate_their_parts():
    assert keys.digest("ab", "c") != keys.digest("a", "bc") != keys.digest("abc")


def test_undefined_symbols_of_an_object_file(tmp_path: Path):
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(
        "declare i32 @puts(ptr)\ndeclare void @unused()\n"
        "define i32 @f(ptr %p) { %r = call i32 @puts(ptr %p)\n ret i32 %r }"
    )
    machine = binding.Target.from_default_triple().create_target_machine()
    data = machine.emit_object(module)
    assert undefined_symbols(data) == ["puts"]
    for cut in (3, 40, len(data) // 2):
        with pytest.raises(ValueError, match="ELF"):
            undefined_symbols(data[:cut])


def test_a_function_that_no_library_has():
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    text = "declare void @no_such_function()\n"
    text += "define void @ssft_table(ptr %p) { call void @no_such_function()\n ret void }"
    machine = binding.Target.from_default_triple().create_target_machine()
    data = machine.emit_object(binding.parse_assembly(text))
    with pytest.raises(UserError, match="no library here has 'no_such_function'"):
        load_code(data, [], Libraries(None, None))
