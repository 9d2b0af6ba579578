"""Machine files that users write."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssft.hwmodel.config import load_machine, machine_toml, preset_names
from ssft.hwmodel.errors import MachineError

SMALL = """
name = "mine"
description = "a machine of mine"
based_on = "ssft-server"

[dram]
bandwidth = { value = 1, unit = "TB/s", label = "INF", source = "a wish" }
"""


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def failure(path: Path | str) -> MachineError:
    with pytest.raises(MachineError) as caught:
        load_machine(path)
    return caught.value


@pytest.mark.parametrize("name", preset_names())
def test_copy_of_a_preset(file, name: str):
    copy = file(machine_toml(load_machine(name)))
    assert load_machine(copy) == load_machine(name)
    assert load_machine(copy).constants == load_machine(name).constants
    assert load_machine(str(copy), ["tensor.pes=3"]).tensor.pes == 3


def test_copy_of_a_changed_preset(file):
    changed = load_machine("ssft-edge", ["dram.bandwidth=1TB/s"])
    copy = load_machine(file(machine_toml(changed, "mine")))
    assert (copy.name, copy.dram) == ("mine", changed.dram)
    assert "dram.bandwidth=1TB/s" in copy.provenance("dram.bandwidth").source


def test_nothing_is_inherited_by_a_copy(file):
    """What is deleted must not become another machine's constant without a word."""
    lines = machine_toml(load_machine("ssft-a100area")).splitlines()
    kept = "\n".join(line for line in lines if not line.startswith("latency = "))
    assert "'dram.latency' is missing" in failure(file(kept)).message


def test_edited_copy(file):
    text = machine_toml(load_machine("ssft-server"))
    text = text.replace('value = 256000000000, unit = "B/s"', 'value = 512, unit = "GB/s"')
    assert load_machine(file(text)).dram.bandwidth == 512e9


def test_file_based_on_a_preset(file):
    machine = load_machine(file(SMALL))
    assert (machine.name, machine.dram.bandwidth, machine.tensor.pes) == ("mine", 1e12, 512)
    assert machine.provenance("dram.bandwidth").source == "a wish"


def test_file_based_on_a_file_beside_it(file):
    file(SMALL, "base.toml")
    other = file('name = "other"\nbased_on = "base.toml"\n', "other.toml")
    machine = load_machine(other)
    assert (machine.name, machine.description) == ("other", "a machine of mine")
    assert machine.dram.bandwidth == 1e12


def test_file_based_on_itself(file):
    path = file('name = "a"\ndescription = "b"\nbased_on = "mine.toml"\n')
    assert "is based on itself" in failure(path).message


@pytest.mark.parametrize(
    ("old", "new", "message", "note"),
    [
        ("TB/s", "GHz", "'dram.bandwidth' has unit 'GHz', expected B/s", "it is: peak"),
        ("value = 1", "value = -1", "'dram.bandwidth' is -1000000000000 B/s; it should be", "peak"),
        ("value = 1", "value = 0", "should be greater than 0", "it is: peak"),
        ("value = 1", "value = true", "is True, expected a number of B/s", "it is: peak"),
        ("value = 1", 'value = "1"', "is '1', expected a number of B/s", "it is: peak"),
        ("value = 1, ", "", "'dram.bandwidth' has no value", "write it as dram.bandwidth = {"),
        (', source = "a wish"', "", "'dram.bandwidth' has no source", "write it as"),
        ('"a wish"', '" "', "has an empty source", "say in a sentence"),
        ("INF", "GUESS", "has evidence label 'GUESS'", "labels are RUN: measured"),
        ("INF", "SET", "has evidence label 'SET'", "labels are RUN: measured"),
        ("label", "lable", "has no label", "write it as"),
        (" }", ", extra = 1 }", "has an unknown field 'extra'", "write it as"),
        ("bandwidth =", "bandwith =", "'dram.bandwith' is not a constant", "did you mean"),
        ("[dram]", "[ram]", "'ram.bandwidth' is not a constant", "did you mean 'dram.bandwidth'?"),
        ("[dram]", "dram = 3\n[x]", "'dram' is not a constant", "'dram' has dram.bytes"),
        ('"mine"', "3", "'name' is 3, expected text", ""),
        ("based_on = ", "base = ", "'base' is not a constant", "the sections are"),
        ("ssft-server", "ssft-servr", "no machine 'ssft-servr'", "did you mean 'ssft-server'?"),
        ("[dram]", "[dram", "is not TOML", "a machine file is TOML"),
    ],
)
def test_mistakes(file, old: str, new: str, message: str, note: str):
    assert old in SMALL
    error = failure(file(SMALL.replace(old, new)))
    assert message in error.message
    assert any(note in text for text in error.notes) or not note


def test_message_names_the_file(file):
    path = file(SMALL.replace("TB/s", "GHz"))
    assert str(path) in failure(path).message


def test_several_mistakes_are_all_said(file):
    more = '[tensor]\npes = { value = 1, unit = "s", label = "INF", source = "x" }\n'
    error = failure(file(SMALL.replace("TB/s", "GHz") + more))
    assert "dram.bandwidth" in error.message
    assert any("'tensor.pes' has unit 's', expected PEs" in note for note in error.notes)


def test_missing_constant(file):
    lines = machine_toml(load_machine("ssft-server")).splitlines()
    kept = "\n".join(line for line in lines if not line.startswith("latency = "))
    error = failure(file(kept))
    assert "'dram.latency' is missing" in error.message
    assert "in s" in error.message
    assert "based_on" in error.notes[0]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("[]", "at least one point"),
        ("[[64, 0.2], [64, 0.3]]", "points must ascend"),
        ("[[64, 0.4], [128, 0.3]]", "efficiency must not fall"),
        ("[[64, 0.2], [128, 0.5]]", "must not grow faster than x"),
        ("[[64, 1.2]]", "a point is"),
        ("[[64, 0.0]]", "a point is"),
        ("[64, 0.2]", "expected a list of points"),
        ("0.2", "expected a list of points"),
    ],
)
def test_curves(file, points: str, message: str):
    entry = f'rows = {{ value = {points}, unit = "1 by B", label = "INF", source = "x" }}'
    error = failure(file(SMALL + f"[dram.efficiency]\n{entry}\n"))
    assert "'dram.efficiency.rows'" in error.message
    assert message in error.message


def test_unknown_names_and_missing_files(tmp_path: Path):
    assert "did you mean 'ssft-edge'?" in failure("ssft-egde").notes
    assert "no machine file" in failure(tmp_path / "none.toml").message
    assert "no machine file" in failure("a/b").message


def test_unreadable_files(tmp_path: Path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in failure(tmp_path / "binary.toml").message


def test_units_convert_without_rounding(file):
    text = SMALL + '[clock]\nfrequency = { value = 0.7, unit = "GHz", label = "INF", source = "x" }'
    assert load_machine(file(text)).clock.frequency == 700e6
